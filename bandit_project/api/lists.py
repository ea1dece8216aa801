"""Pages, search and ordering of every list of the APIs."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Model, QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.filters import OrderingFilter, SearchFilter
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request
from rest_framework.views import APIView


class Pages(PageNumberPagination):
    """Answers count, next, previous and results."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 1000
    invalid_page_message = 'page: this list has no page "{page_number}"; begin with page=1 and follow "next".'

    def get_page_size(self, request: Request) -> int | None:
        """The page size asked for. An invalid one is refused, not replaced by the default."""
        given = request.query_params.get("page_size", "1")
        if not (given.isascii() and given.isdigit() and 1 <= int(given[:9]) <= self.max_page_size):
            problem = f"must be a whole number from 1 to {self.max_page_size}"
            raise ValidationError({"page_size": [problem]}, code="out_of_range")
        return super().get_page_size(request)

    def get_page_number(self, request: Request, paginator: Any) -> Any:
        """The page asked for, in the digits 0 to 9: Python reads those of every script, and 1_000."""
        given = str(super().get_page_number(request, paginator))
        return given if given.isascii() and "_" not in given else "none"

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for parameter in parameters:
            parameter["schema"] |= {"minimum": 1}
            if parameter["name"] == "page_size":
                parameter["schema"] |= {"maximum": self.max_page_size}
        return parameters


_SEARCH_LENGTH = 200
# Each word is searched in each field, so their number bounds the cost of a search.
_SEARCH_WORDS = 10
_WORDS_PATTERN = rf"^[\s,]*(?:[^\s,\u0000]+(?:[\s,]+|$)){{0,{_SEARCH_WORDS}}}$"


class BoundedSearch(SearchFilter):
    """Finds rows that hold every word, in any of the fields."""

    def get_search_terms(self, request: Request) -> list[str]:
        given = request.query_params.get(self.search_param, "")
        words = given.replace(",", " ").split()
        if len(given) > _SEARCH_LENGTH or len(words) > _SEARCH_WORDS:
            raise _refused(
                self.search_param, f"must be at most {_SEARCH_LENGTH} characters and {_SEARCH_WORDS} words"
            )
        if "\x00" in given:
            raise _refused(self.search_param, "must not hold null characters")
        return words

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        schema = {"type": "string", "maxLength": _SEARCH_LENGTH, "pattern": _WORDS_PATTERN}
        fields = ", ".join(name.replace("__", " ") for name in getattr(view, "search_fields", ()))
        description = f"Rows that hold every word in one of: {fields}."
        return [_parameter(self.search_param, description, schema)]


class StrictOrdering(OrderingFilter):
    """Sorts by ``ordering=-date,clicks``. Ties are broken by id, so that every row is on exactly one page."""

    def get_ordering(
        self, request: Request, queryset: QuerySet[Model], view: APIView
    ) -> Sequence[str] | None:
        given = request.query_params.get(self.ordering_param)
        if given is None:
            return self.get_default_ordering(view)
        terms = given.split(",")
        names = [term.removeprefix("-") for term in terms]
        allowed = self._allowed(view)
        if not set(names) <= set(allowed) or len(set(names)) < len(names):
            fix = f"must name some of {', '.join(allowed)}, each once, with a - before it for descending"
            raise _refused(self.ordering_param, fix)
        return [*terms, "pk"]

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        allowed = self._allowed(view)
        schema = {
            "type": "array",
            "items": {"type": "string", "enum": [sign + name for name in allowed for sign in ("", "-")]},
            "minItems": 1,
            "uniqueItems": True,
            "allOf": [
                {"not": {"allOf": [{"contains": {"const": name}}, {"contains": {"const": f"-{name}"}}]}}
                for name in allowed
            ],
        }
        description = "By what to sort, - for descending; ties by id."
        return [_parameter(self.ordering_param, description, schema) | {"style": "form", "explode": False}]

    @staticmethod
    def _allowed(view: APIView) -> Sequence[str]:
        fields: Sequence[str] = getattr(view, "ordering_fields", ())
        return fields


def _refused(parameter: str, fix: str) -> ValidationError:
    return ValidationError({parameter: [fix]}, code="invalid")


def _parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}
