"""The OpenAPI document: refusals, descriptions and examples that drf-spectacular does not add itself."""

import re
from collections.abc import Iterator
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema

from bandit_project.api.auth import required_scope
from bandit_project.api.errors import problem, problem_codes
from bandit_project.api.openapi.glossary import EXAMPLES, description_of
from bandit_project.models import Scope


def without_slash_twins(endpoints: list[tuple[Any, ...]], **kwargs: Any) -> list[tuple[Any, ...]]:
    """Drop the classic paths with a trailing slash: both answer alike, the document shows one."""
    paths = {path for path, *_ in endpoints}
    return [
        endpoint for endpoint in endpoints if not (endpoint[0].endswith("/") and endpoint[0][:-1] in paths)
    ]


# Reasons for a refusal, by status.
_REFUSALS = {
    400: "The body is not JSON, or the request cannot be read.",
    401: "No API key or session, or a wrong one.",
    403: "The key's scope, or the installation, does not allow it.",
    404: "What the request names does not exist.",
    405: "The path does not take this method.",
    406: "No format of the Accept header, or of `format` in the query, can be served.",
    409: "The state of things does not allow it.",
    412: "The state is not the one that the request wants it to be.",
    413: "The body is too large.",
    415: "The body's media type is not taken.",
    422: "A field is refused; `errors` names each, and the fix.",
    429: "Too many requests; Retry-After says when to come back.",
    503: "The database cannot be reached or is busy; Retry-After says when to come back.",
}
# Authentication, throttling and content negotiation come before every view, and each uses the database.
_OF_ANY_CALL = (400, 401, 403, 405, 406, 429, 503)
_WITH_BODY = ("POST", "PUT", "PATCH")
# OpenFeature's providers read a refusal in the protocol's own words. These calls take a body of any media type.
_OFREP = "/ofrep/"
_OF_OFREP = (400, 401, 403, 404, 405, 429, 503)
_ANSWERS = {
    "200": "Done.",
    "201": "Made; Location names it.",
    "204": "Deleted.",
    "304": "Nothing has changed.",
}
_HEADERS = {
    "201": {"Location": "The path of what was made."},
    "429": {"Retry-After": "Seconds to wait."},
    "503": {"Retry-After": "Seconds to wait."},
}
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457 problem details.",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable; x-problem-codes lists all."},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "code", "message"],
                "properties": {
                    "field": {"type": "string", "description": "As in the request: rows[3].clicks."},
                    "code": {"type": "string", "description": "What kind of fault it is."},
                    "message": {"type": "string", "description": "What is wrong, and the fix."},
                },
            },
        },
        "status_now": {"type": "string", "description": "With status_conflict: the experiment's status."},
        "allowed": {
            "type": "array",
            "items": {"type": "string"},
            "description": "With status_conflict: the states it can move to.",
        },
        "total_issues": {"type": "integer", "description": "Of a CSV: how many bad rows there are."},
    },
}
_OFREP_ERROR = {
    "type": "object",
    "description": "An error of OFREP. Those that are not of the protocol's own have the members of a problem too.",
    "required": ["errorCode", "errorDetails"],
    "properties": {
        "key": {"type": "string", "description": "The flag, on the call for one."},
        "errorCode": {
            "type": "string",
            "enum": ["PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "FLAG_NOT_FOUND", "GENERAL"],
            "description": "The protocol's code.",
        },
        "errorDetails": {"type": "string", "description": "What is wrong, and the fix."},
    },
}
_MORE_OF_CODE: dict[str, dict[str, object]] = {
    "invalid": {
        "detail": "rows[0].clicks: clicks (12) must not exceed impressions (10)",
        "errors": [
            {
                "field": "rows[0].clicks",
                "code": "too_many",
                "message": "clicks (12) must not exceed impressions (10)",
            }
        ],
    },
    "status_conflict": {
        "detail": "Experiment 'checkout' is draft; it can become active.",
        "status_now": "draft",
        "allowed": ["active"],
    },
}


class ProblemSchema(AutoSchema):
    """Adds to every operation the refusals that it may answer.

    Most follow from the operation itself. A view names any other in its own extend_schema:
    ``responses={200: StatisticsSerializer, 409: None}``.
    """

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is not None:
            named = {int(status) for status in operation["responses"] if status >= "400"}
            kind, refusals = self._refusals_by_kind(operation)
            for status in sorted(named | refusals):
                operation["responses"][str(status)] = {"$ref": f"#/components/responses/{kind}{status}"}
        return operation

    def _get_serializer_field_meta(self, field: Any, direction: Any) -> dict[str, Any]:
        """Describe a field without a title: labels are words of pages (experiments/admin/labels.py)."""
        untyped: Any = super()
        meta: dict[str, Any] = untyped._get_serializer_field_meta(field, direction)
        meta.pop("title", None)
        return meta

    def _refusals_by_kind(self, operation: dict[str, Any]) -> tuple[str, set[int]]:
        if not self.path.startswith(_OFREP):
            return "Problem", set(self._refusals(operation))
        has_key = any(parameter["in"] == "path" for parameter in operation.get("parameters", ()))
        return "Ofrep", set(_OF_OFREP) - ({404} if not has_key else set())

    def _refusals(self, operation: dict[str, Any]) -> Iterator[int]:
        """Statuses that follow from the method, the scope it needs, its parameters and its body."""
        given = {parameter["in"] for parameter in operation.get("parameters", ())}
        names = {parameter["name"] for parameter in operation.get("parameters", ())}
        yield from _OF_ANY_CALL
        if "path" in given or "page" in names:
            yield 404
        if "If-Match" in names:
            yield 412
        if self.method in _WITH_BODY:
            yield 413
            if required_scope(self.view, self.method) != Scope.READ:
                yield 409
        is_v1 = self.path.startswith("/api/v1/")
        # of /api/v1/ also a call that needs no body: it reads what is sent, to refuse it
        if "requestBody" in operation or (is_v1 and self.method != "GET"):
            yield 415
        # of /api/v1/ any: a parameter of the query that it does not know
        if "requestBody" in operation or given & {"query", "header"} or is_v1:
            yield 422


def with_problems(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Add the problem document, every refusal with its examples, and the stable codes."""
    components = result["components"]
    components["schemas"]["Problem"] = _PROBLEM
    components["schemas"]["OfrepError"] = _OFREP_ERROR
    components["responses"] = {f"Problem{status}": _refusal(status) for status in _REFUSALS}
    components["responses"] |= {f"Ofrep{status}": _ofrep_refusal(status) for status in _OF_OFREP}
    result["info"]["x-problem-codes"] = problem_codes()
    return result


def add_descriptions(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Describe each field, parameter and answer that has no description of its own."""
    for component, schema in result["components"]["schemas"].items():
        for name, field in schema.get("properties", {}).items():
            field.setdefault("description", description_of(component, name))
            if field.get("type") in ("string", "integer", "number") and name in EXAMPLES:
                field.setdefault("example", EXAMPLES[name])
    for operation in (call for calls in result["paths"].values() for call in calls.values()):
        operation.setdefault("summary", re.split(r"\.(?:\s|$)", operation.get("description", ""))[0])
        for parameter in operation.get("parameters", ()):
            parameter.setdefault("description", description_of("", parameter["name"]))
        for status, answer in operation["responses"].items():
            if not answer.get("description") and status in _ANSWERS:
                answer["description"] = _ANSWERS[status]
            if status in _HEADERS and "$ref" not in answer:
                answer["headers"] = answer.get("headers", {}) | _headers(status)
    return result


def _refusal(status: int) -> dict[str, Any]:
    """The response of a status, with every code of it as an example."""
    codes = [(code, entry) for code, entry in problem_codes().items() if entry["status"] == status]
    examples = {
        code: {"value": problem(status, code, str(entry["meaning"])) | _MORE_OF_CODE.get(code, {})}
        for code, entry in codes
    }
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}
    return {
        "description": _REFUSALS[status],
        "headers": _headers(str(status)),
        "content": {"application/problem+json": content},
    }


def _ofrep_refusal(status: int) -> dict[str, Any]:
    return {
        "description": _REFUSALS[status],
        "headers": _headers(str(status)),
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/OfrepError"}}},
    }


def _headers(status: str) -> dict[str, Any]:
    return {
        name: {"description": description, "schema": {"type": "string"}}
        for name, description in _HEADERS.get(status, {}).items()
    }


class ApiKeyScheme(OpenApiAuthenticationExtension):
    target_class = "bandit_project.api.auth.ApiKeyAuthentication"
    name = "ApiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "header", "name": "Authorization", "description": "Api-Key <key>"}


class StrictSerializerExtension(OpenApiSerializerExtension):
    """States in the document that unknown fields are refused."""

    target_class = "experiments.api.fields.StrictSerializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        schema: dict[str, Any] = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        return {**schema, "additionalProperties": False}
