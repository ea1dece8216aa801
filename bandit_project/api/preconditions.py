"""If-Match of a call of /api/v1/: one that writes and does not look at it refuses it.

Left out in silence it would promise what nobody keeps: that nothing is changed which somebody else has changed since.
"""

from typing import TYPE_CHECKING

from drf_spectacular.utils import OpenApiParameter
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from bandit_project.api.query import declared, is_checked
from experiments.exceptions import InvalidError, Issue

if TYPE_CHECKING:
    # DRF's views read the settings that name this module.
    from rest_framework.views import APIView

_HEADER = "If-Match"


class KnownPrecondition(BasePermission):
    """Lets in, once the caller may call at all, what has no If-Match, or sends it to a call that looks at it.

    Raises InvalidError.
    """

    def has_permission(self, request: Request, view: "APIView") -> bool:
        method = request.method or "GET"
        writes = method not in SAFE_METHODS and _HEADER in request.headers
        if writes and is_checked(request, view, method) and not _looks_at_it(view, method):
            message = "This call does not look at it; leave it out."
            raise InvalidError([Issue(_HEADER, "unknown_header", message)])
        return True


def _looks_at_it(view: "APIView", method: str) -> bool:
    return _HEADER in declared(view, method, OpenApiParameter.HEADER)
