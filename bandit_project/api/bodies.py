"""Bodies of calls that need none: a call of /api/v1/ whose description has no body takes an empty one alone.

A date or a winner that is sent along would be left out in silence, and something else done than was asked for.
"""

from typing import TYPE_CHECKING, Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from bandit_project.api.query import is_checked, schema_of
from experiments.api.fields import StrictSerializer

if TYPE_CHECKING:
    # DRF's views read the settings that name this module.
    from rest_framework.views import APIView

_WITH_BODY = ("POST", "PUT", "PATCH")


class KnownBody(BasePermission):
    """Lets in, once the caller may call at all, what sends nothing to a call that takes nothing.

    Raises ValidationError.
    """

    def has_permission(self, request: Request, view: "APIView") -> bool:
        method = request.method or "GET"
        writes = method in (*_WITH_BODY, "DELETE")
        if writes and is_checked(request, view, method) and not _takes_body(view, method):
            StrictSerializer(data=request.data).is_valid(raise_exception=True)
        return True


def _takes_body(view: "APIView", method: str) -> bool:
    """Tell if the schema of the view's method declares a body; HTTP gives that of a DELETE no meaning."""
    if method not in _WITH_BODY:
        return False
    schema = schema_of(view, method)
    if schema is None:
        return True  # its own code reads the body
    if (takes := _taking.get(schema)) is None:
        described = schema()
        described.view, described.method = view, method
        takes = _taking[schema] = described.get_request_serializer() is not None
    return takes


# What each schema declares: asked once.
_taking: dict[Any, bool] = {}
