"""Any value in any path and any query is answered below 500, to an operator and to somebody without an account.

The places come from the URL configuration. Which names a query may have, the views tell: what they look for is written
down while they answer. ./dev test tries one value at each place, for all names or for a single one in turn; with
RESILIENCE=full all are tried at all names.
"""

import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db import transaction
from django.http import QueryDict
from django.test import Client

from tests.security.access_table import ACCESS
from tests.security.places import World

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

_IN_FULL = os.environ.get("RESILIENCE") == "full"
# In full, the places are shared out over so many tests, which processes take side by side.
_PARTS = 24 if _IN_FULL else 1

# As they stand in an address.
_VALUES = [
    "%00", "a%00b", "%ff", "%ed%a0%80", "1_000", "%EF%BC%91", "%D9%A1", "%C2%B2", "-1", "0", "9" * 10, "9" * 19,
    "9" * 400, "1e400", "NaN", "Infinity", "1.5", "0001-01-01", "9999-12-31", "10000-01-01", "2025-02-29", "2025-W33-4",
    "2025-01-01T00:00:00%2B23:59", "9999-12-31T23:59:59-23:59", "(", "[", "*", "%5c", "%25", "a" * 3000, "true",
    "[]", "__class__", "1,1", ",", "%2B", "pk", "%27%22%3E%3Cscript%3E", "%E2%80%AE", "%F0%9F%92%A9", "-,", ".", "",
]  # fmt: skip
_PATH_VALUES = [value for value in _VALUES if value not in {"", "."}]
_NAME = re.compile(r"\{(\w+)\}")
# Simulations take seconds; these are small.
_SMALL = {"simulator": "days=2&runs=1", "backtest": "days=2&runs=1", "planner": "daily_traffic=10&variants=2"}
_ADMIN_NAMES = (
    "q",
    "p",
    "o",
    "e",
    "all",
    "_popup",
    "_to_field",
    "_changelist_filters",
    "id__exact",
    "nothing",
)
_LOOKUPS = (
    "",
    "__exact",
    "__regex",
    "__in",
    "__year",
    "__month",
    "__day",
    "__gte",
    "__isnull",
    "__startswith",
)


class _Asked:
    """Writes down which names are looked for in queries and forms."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: set[str] = set()
        for method in ("get", "getlist", "__getitem__", "__contains__"):
            monkeypatch.setattr(QueryDict, method, self._noting(getattr(QueryDict, method)))

    def _noting(self, usual: Any) -> Any:
        def noted(query: QueryDict, name: str, *rest: Any, **more: Any) -> Any:
            self.names.add(str(name))
            return usual(query, name, *rest, **more)

        return noted


@pytest.fixture
def operator() -> Client:
    person = get_user_model().objects.create_superuser("operator", "operator@example.com", "secret")
    client = Client(raise_request_exception=False)
    client.force_login(person)
    return client


@pytest.fixture
def world(operator: Client) -> World:
    return World.make()


def _fault(client: Client, method: str, address: str) -> str | None:
    """Call, and undo what it did; what was wrong with the answer, if anything."""
    with transaction.atomic():
        is_api = method != "GET" and ("/api/" in address or "/ofrep/" in address)
        body: dict[str, Any] = {"data": "{}", "content_type": "application/json"} if is_api else {}
        answer = getattr(client, method.lower())(address, headers={"Accept": "text/html,*/*"}, **body)
        transaction.set_rollback(True)
    if answer.status_code < 500:
        return None
    reason = repr(answer.exc_info[1])[:150] if getattr(answer, "exc_info", None) else ""
    return f"{method} {address[:150]}: {answer.status_code} {reason}"


def _some(values: Sequence[str], number: int, most: int) -> Sequence[str]:
    """All of them in full; else so many that the places between them see all."""
    if _IN_FULL:
        return values
    return [values[(number * most + n) % len(values)] for n in range(most)]


def _with_odd_parts(world: World) -> Iterator[tuple[str, str]]:
    """Method and address of each place, with an odd value for each part in turn."""
    for number, row in enumerate(row for row in ACCESS if "{" in row.place):
        parts = world.parts(row.place)
        for name in sorted(set(_NAME.findall(row.place))):
            for value in _some(_PATH_VALUES, number, 1):
                yield row.method, "/" + row.place.format(**{**parts, name: value})


def _admin_names(place: str) -> Iterable[str]:
    """The names that a list of the admin takes: its own, and of each kind of field one with what can be asked of it.

    A lookup reads its value by the kind of the field, so a second field of the same kind would only repeat the first.
    """
    models = {f"admin/{m._meta.app_label}/{m._meta.model_name}/": m for m in admin.site._registry}
    if place not in models:
        return ()
    fields = {type(field): field.name for field in models[place]._meta.fields}
    return [*_ADMIN_NAMES, *(name + lookup for name in fields.values() for lookup in _LOOKUPS)]


def _names_of(operator: Client, world: World, asked: _Asked, place: str) -> list[str]:
    asked.names.clear()
    operator.get(f"{world.path(place)}?{_small(place)}")
    found = {name for name in asked.names if name.isascii() and name.isprintable()}
    return sorted(found | set(_admin_names(place)) | {"x"})


def _small(place: str) -> str:
    return next((query for page, query in _SMALL.items() if f"/{page}/" in place), "")


def _queries(names: Sequence[str], place: str, number: int) -> Iterator[str]:
    """Give all names one odd value; then each name one, while the others are well."""
    before = f"{_small(place)}&" if _small(place) else ""
    if _IN_FULL or number % 2:
        for value in _some(_VALUES, number, 1):
            yield "&".join(f"{quote(name)}={value}" for name in names[:200])
    if not _IN_FULL and number % 2:
        return
    turns = itertools.count(number)
    for name in _some(names, number, 1):
        for value in _some(_VALUES, next(turns), 1):
            yield f"{before}{quote(name)}={value}"


def test_path__odd_part__is_answered_below_500(operator: Client, world: World) -> None:
    faults = [_fault(operator, *call) for call in _with_odd_parts(world)]

    assert "\n".join(fault for fault in faults if fault) == ""


def test_path__odd_part_of_somebody_without_an_account__is_answered_below_500(world: World) -> None:
    stranger = Client(raise_request_exception=False)

    # most are sent to the login before anything reads the value
    calls = itertools.islice(_with_odd_parts(world), 0, None, 1 if _IN_FULL else 2)
    faults = [_fault(stranger, *call) for call in calls]

    assert "\n".join(fault for fault in faults if fault) == ""


# Lists of axes filter times by a value without a time zone. Django warns and answers; in tests a warning is an error.
@pytest.mark.filterwarnings("ignore:DateTimeField Access:RuntimeWarning")
@pytest.mark.parametrize("part", range(_PARTS))
def test_query__odd_value_of_any_name__is_answered_below_500(
    part: int, operator: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, faults = _Asked(monkeypatch), []

    places = [row for row in ACCESS if row.method == "GET"]
    for number, row in list(enumerate(places))[part::_PARTS]:
        names = _names_of(operator, world, asked, row.place)
        path = world.path(row.place)
        faults += [_fault(operator, "GET", f"{path}?{query}") for query in _queries(names, row.place, number)]

    assert "\n".join(fault for fault in faults if fault) == ""
