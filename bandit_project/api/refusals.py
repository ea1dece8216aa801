"""The fix in each refusal that REST framework words itself, and in those of our own whose fix is another call."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.http import HttpRequest
from rest_framework import exceptions

from allocation.exceptions import AllocationNotFoundError, NoAllocationError
from experiments.exceptions import (
    ExperimentNotFoundError,
    GuardNotFoundError,
    NoteNotFoundError,
    VariantNotFoundError,
)

SEND_KEY = (
    "Send an API key in the header Authorization: Api-Key <key> (or Bearer <key>), or in X-API-Key: <key>."
)
_OF_EXPERIMENT = "GET /api/v1/experiments/<key>/"
# What leads to an object that there is, by the code of the refusal.
_WHERE = {
    ExperimentNotFoundError.code: "GET /api/v1/experiments/ lists the ids and keys.",
    VariantNotFoundError.code: f"{_OF_EXPERIMENT}variants/ lists the ids.",
    NoteNotFoundError.code: f"{_OF_EXPERIMENT}notes/ lists the ids.",
    GuardNotFoundError.code: f"{_OF_EXPERIMENT}guards/ lists the ids.",
    AllocationNotFoundError.code: f"{_OF_EXPERIMENT}allocations/ lists the ids.",
    NoAllocationError.code: "Start it if it is a draft; POST /api/v1/experiments/<key>/allocation/ then computes one.",
}


def with_place(code: str, detail: str) -> str:
    """Say after a refusal of our own where to find what there is."""
    return f"{detail} {_WHERE[code]}" if code in _WHERE else detail


def reworded(error: exceptions.APIException, context: Mapping[str, Any]) -> str:
    """Say what a refusal of REST framework means, and what to send instead."""
    view: Any = context.get("view")
    request: Any = context.get("request")
    if isinstance(error, exceptions.NotAuthenticated):
        return f"No API key was sent, and nobody is logged in. {SEND_KEY}"
    if isinstance(error, exceptions.UnsupportedMediaType):
        return f"{error.detail} Send Content-Type: {_joined(p.media_type for p in view.parser_classes)}."
    if isinstance(error, exceptions.NotAcceptable):
        if said := unknown_format(context):
            return said
        offered = _joined(renderer.media_type for renderer in error.available_renderers or ())
        return f"Nothing that the Accept header takes can be sent. Send Accept: {offered}."
    if isinstance(error, exceptions.MethodNotAllowed):
        return f"{error.detail} {request.path} takes {_joined(view.allowed_methods)}."
    if str(error.detail).startswith("CSRF Failed"):
        return (
            f"{error.detail} Send the cookie csrftoken in the header X-CSRFToken; an API key needs neither."
        )
    return str(error.detail)


def is_unacceptable(context: Mapping[str, Any]) -> bool:
    """Tell if a call of /api/v1/ asks for a format that there is not, of which REST framework makes a 404."""
    request = context.get("request")
    return request is not None and is_v1(request) and unknown_format(context) != ""


def is_v1(request: HttpRequest) -> bool:
    """Tell if this is a call of /api/v1/, below a prefix of the service's path, too."""
    match = request.resolver_match
    return match is not None and match.namespace == "v1"


def unknown_format(context: Mapping[str, Any]) -> str:
    """Name the formats, where the address asked for one that there is not; blank if it did not."""
    view, request = context.get("view"), context.get("request")
    asked = request and request.GET.get("format")
    if not asked or view is None:
        return ""
    known = [renderer.format for renderer in view.renderer_classes]
    return "" if asked in known else f"format: {asked[:100]!r} is not offered; send {_joined(known)}."


def _joined(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))
