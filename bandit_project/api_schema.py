"""What the OpenAPI document shows."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerExtension

from bandit_project.errors import problem_codes


def without_slash_twins(endpoints: list[tuple[Any, ...]], **kwargs: Any) -> list[tuple[Any, ...]]:
    """The classic calls answer with and without a trailing slash; the document shows the one without."""
    paths = {path for path, *_ in endpoints}
    return [
        endpoint for endpoint in endpoints if not (endpoint[0].endswith("/") and endpoint[0][:-1] in paths)
    ]


# What any call may be refused with. Authentication, throttling and reading the body come before the views.
_REFUSALS = {
    400: "The body is not JSON, or the request cannot be read.",
    401: "No API key or session, or a wrong one.",
    403: "The key's scope, or the installation, does not allow it.",
    404: "What the path or a field names does not exist.",
    405: "The path does not take this method.",
    406: "No format of the Accept header can be served.",
    409: "The state of the experiment does not allow it.",
    413: "The body is too large.",
    415: "The body's media type is not taken.",
    422: "A field is refused; `errors` names each, and the fix.",
    429: "Too many requests; Retry-After says when to come back.",
}
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457 problem details.",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string", "example": "urn:problem:invalid"},
        "title": {"type": "string", "example": "Unprocessable Entity"},
        "status": {"type": "integer", "example": 422},
        "code": {"type": "string", "description": "Stable; x-problem-codes lists all.", "example": "invalid"},
        "detail": {
            "type": "string",
            "example": "rows[0].clicks: clicks (12) must not exceed impressions (10)",
        },
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "code", "message"],
                "properties": {
                    "field": {"type": "string", "example": "rows[0].clicks"},
                    "code": {"type": "string", "example": "too_many"},
                    "message": {"type": "string"},
                },
            },
        },
    },
}


def with_problems(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Adds the problem document, its codes, and to every call the refusals it may answer with."""
    result["components"]["schemas"]["Problem"] = _PROBLEM
    result["info"]["x-problem-codes"] = problem_codes()
    for operations in result["paths"].values():
        for operation in operations.values():
            for status, description in _REFUSALS.items():
                operation["responses"].setdefault(str(status), _refusal(description))
    return result


def _refusal(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # drf-spectacular's base
    target_class = "bandit_project.auth.ApiKeyAuthentication"
    name = "ApiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "header", "name": "Authorization", "description": "Api-Key <key>"}


class StrictSerializerExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]  # its base
    """Unknown fields are refused, and the document says so."""

    target_class = "experiments.fields.StrictSerializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        schema: dict[str, Any] = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        return {**schema, "additionalProperties": False}
