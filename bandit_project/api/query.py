"""Parameters of the query: those of a call of /api/v1/ are the ones that its description names, each at most once.

A misspelt one would be left out in silence, and of one given twice only the last counted: something else done than was
asked for. Lists look at their own names (experiments/api/filters.py). The classic API takes what old clients send.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from bandit_project.api.refusals import is_v1
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
                _refuse_unknown(set(given), declared(view, method, OpenApiParameter.QUERY))
            _refuse_repeated({name: given.getlist(name) for name in given})
        return True


def is_checked(request: Request, view: "APIView", method: str) -> bool:
    """Tell if this is a call of /api/v1/. OPTIONS asks about the other calls of its path."""
    if not is_v1(request._request) or request._request.method == "OPTIONS":
        return False
    # of a method that the view does not take that is said instead
    return hasattr(view, method.lower())


def _is_list(view: "APIView", method: str) -> bool:
    return method == "GET" and hasattr(view, "filterset_class") and getattr(view, "action", "list") == "list"


def declared(view: "APIView", method: str, place: str) -> tuple[str, ...]:
    """The names of a place (query, header) that the schema of the view's method declares."""
    schema = schema_of(view, method)
    if schema is None:
        return ()
    if (known := _known.get(schema)) is None:
        described = schema()
        described.view, described.method = view, method
        known = _known[schema] = tuple(_placed(described.get_override_parameters()))
    return tuple(name for found, name in known if found == place)


def schema_of(view: "APIView", method: str) -> Any:
    """Return the class that describes the view's method, where extend_schema has made one."""
    return getattr(getattr(view, method.lower(), None), "kwargs", {}).get("schema")


# What each schema declares: asked once.
_known: dict[Any, tuple[tuple[str, str], ...]] = {}


def _placed(parameters: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """Return the place and the name of each. A serializer stands for names of the query."""
    for one in parameters:
        if not isinstance(one, OpenApiParameter):
            yield from ((OpenApiParameter.QUERY, name) for name in one().fields)
        elif not one.response:  # else a header of the answer
            yield one.location, one.name


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
