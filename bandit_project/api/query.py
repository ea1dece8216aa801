"""Parameters of the query: those of a call of /api/v1/ are the ones that its description names, each at most once.

A misspelt one would be left out in silence, and of one given twice the first: something else done than was asked for.
Lists look at their own names (experiments/api/filters.py); the classic API takes what old clients send along.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from experiments.exceptions import InvalidError, Issue

if TYPE_CHECKING:
    # DRF's views read the settings that name this module.
    from rest_framework.views import APIView

# The framework's own.
_FORMAT = "format"
_LONGEST = 100


class KnownNames(BasePermission):
    """Lets in, once the caller may call at all, what has no parameter that the call does not know, and none twice.

    Raises InvalidError.
    """

    def has_permission(self, request: Request, view: "APIView") -> bool:
        given, method = request.query_params, "GET" if request.method == "HEAD" else request.method or "GET"
        if given and is_checked(request, view, method):
            if not _is_list(view, method):
                _refuse_unknown(set(given), _declared(view, method))
            _refuse_repeated({name: given.getlist(name) for name in given})
        return True


def is_checked(request: Request, view: "APIView", method: str) -> bool:
    """Tell if this is a call of /api/v1/. OPTIONS asks about the other calls of its path."""
    match = request._request.resolver_match
    if match is None or match.namespace != "v1" or request._request.method == "OPTIONS":
        return False
    # of a method that the view does not take that is said instead
    return hasattr(view, method.lower())


def _is_list(view: "APIView", method: str) -> bool:
    return method == "GET" and hasattr(view, "filterset_class") and getattr(view, "action", "list") == "list"


def _declared(view: "APIView", method: str) -> tuple[str, ...]:
    """The names of the query that the schema of the view's method declares."""
    schema = schema_of(view, method)
    if schema is None:
        return ()
    if (known := _names.get(schema)) is None:
        described = schema()
        described.view, described.method = view, method
        known = _names[schema] = tuple(_queried(described.get_override_parameters()))
    return known


def schema_of(view: "APIView", method: str) -> Any:
    """Return the class that describes the view's method, where extend_schema has made one."""
    return getattr(getattr(view, method.lower(), None), "kwargs", {}).get("schema")


# What each schema declares: asked once.
_names: dict[Any, tuple[str, ...]] = {}


def _queried(parameters: Iterable[Any]) -> Iterator[str]:
    for one in parameters:
        if not isinstance(one, OpenApiParameter):
            yield from one().fields
        elif one.location == OpenApiParameter.QUERY:
            yield one.name


def _refuse_repeated(given: Mapping[str, Sequence[object]]) -> None:
    """Refuse parameters with several values: no call takes any."""
    repeated = {name: len(values) for name, values in sorted(given.items()) if len(values) > 1}
    if repeated:
        raise InvalidError(
            [
                Issue(name[:_LONGEST], "duplicate", f"Given {times} times; give it once.")
                for name, times in repeated.items()
            ]
        )


def _refuse_unknown(given: set[str], declared: tuple[str, ...]) -> None:
    unknown = sorted(given - set(declared) - {_FORMAT})
    if not unknown:
        return
    takes = f"takes {', '.join(declared)}" if declared else "takes no parameters"
    raise InvalidError(
        [Issue(name[:_LONGEST], "unknown_parameter", f"Unknown; this call {takes}.") for name in unknown]
    )
