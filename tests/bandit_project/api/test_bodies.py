"""Bodies of the calls of /api/v1/ that write: what a call does not know is refused, and nothing is done."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from allocation.api.v1.urls import urlpatterns as allocation_api
from allocation.models import Allocation
from experiments.api.v1.urls import urlpatterns as experiments_api
from experiments.models import Experiment, Status
from serving.api.urls import urlpatterns as serving_api
from tests.factory import make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today"), pytest.mark.database_free]

_WRITES = ("post", "put", "patch", "delete")
_ARGUMENTS = {"reference": "shop", "variant_id": 1, "note_id": 1, "guard_id": 1, "allocation_id": 1}
UPLOAD = ("events-csv", "post")
FIELDLESS = {"allocation", "complete-undo", "guards-resume"} | {
    f"experiment-{name}" for name in ("start", "pause", "resume", "archive", "unarchive", "duplicate")
}


_PATTERNS: list[Any] = [*serving_api, *allocation_api, *experiments_api]
_PARTS_OF_PATH = {str(pattern.name): set(pattern.pattern.regex.groupindex) for pattern in _PATTERNS}


def _calls() -> Iterator[tuple[str, str]]:
    """Yield the name and the method of each call of /api/v1/ that is no GET."""
    for pattern in _PATTERNS:
        view: Any = pattern.callback
        offered = getattr(view, "actions", None) or {name: "" for name in _WRITES if hasattr(view.cls, name)}
        yield from ((str(pattern.name), method) for method in _WRITES if method in offered)


CALLS = sorted(set(_calls()))
JSON_CALLS = [call for call in CALLS if call != UPLOAD]


def _send(api: APIClient, name: str, method: str, **body: Any) -> Any:
    arguments = {key: value for key, value in _ARGUMENTS.items() if key in _PARTS_OF_PATH[name]}
    path = reverse(f"v1:{name}", kwargs=arguments)
    return getattr(api, method)(path, headers={"Idempotency-Key": name}, **body)


def _assert_untouched(experiment: Experiment) -> None:
    experiment.refresh_from_db()
    assert (experiment.status, experiment.archived_at) == (Status.ACTIVE, None)
    assert not Allocation.objects.exists()


def test_calls__listed__include_those_without_fields_and_with_all_optional_ones() -> None:
    assert {(name, "post") for name in FIELDLESS} <= set(CALLS)
    assert {("complete", "post"), ("experiment-detail", "patch"), ("note", "delete"), UPLOAD} <= set(CALLS)


@pytest.mark.parametrize(("name", "method"), JSON_CALLS)
def test_body__unknown_field__is_refused_by_every_call(api: APIClient, name: str, method: str) -> None:
    experiment = make_running("Shop")

    response = _send(api, name, method, data={"x": 1})

    assert response.status_code == 422, response.content
    found = [issue for issue in response.json()["errors"] if issue["field"] == "x"]
    assert [issue["code"] for issue in found] == ["unknown_field"]
    assert found[0]["message"].startswith("Unknown field; ")
    _assert_untouched(experiment)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        ("null", "null"),
        ("[]", "a list"),
        ("0", "a number"),
        ('""', "a text"),
        ("false", "true or false"),
        ("[1]", "a list"),
    ],
)
@pytest.mark.parametrize(("name", "method"), JSON_CALLS)
def test_body__no_object__is_refused_by_every_call(
    api: APIClient, name: str, method: str, raw: str, kind: str
) -> None:
    experiment = make_running("Shop")

    response = _send(api, name, method, data=raw, content_type="application/json")

    assert response.status_code == 422, response.content
    assert response.json()["detail"] == f"Must be a JSON object, not {kind}."
    _assert_untouched(experiment)


@pytest.mark.parametrize("name", sorted(FIELDLESS))
def test_body__field_of_a_call_without_fields__is_named_with_what_there_is(api: APIClient, name: str) -> None:
    make_running("Shop")

    errors = _send(api, name, "post", data={"date": "2026-01-01"}).json()["errors"]

    message = "Unknown field; this call takes none."
    assert errors == [{"field": "date", "code": "unknown_field", "message": message}]


@pytest.mark.parametrize("body", [{}, {"data": {}}, {"data": "", "content_type": "application/json"}])
@pytest.mark.parametrize(
    ("name", "status"), [("allocation", 201), ("experiment-pause", 200), ("complete", 200)]
)
def test_body__absent_or_empty__is_fine_where_no_field_is_needed(
    api: APIClient, name: str, status: int, body: dict[str, Any]
) -> None:
    make_running("Shop")

    assert _send(api, name, "post", **body).status_code == status


def test_body__empty_form_as_curl_sends_it__is_fine(api: APIClient) -> None:
    make_running("Shop")

    for name in ("complete", "complete-undo"):
        form = {"data": "", "content_type": "application/x-www-form-urlencoded"}
        assert _send(api, name, "post", **form).status_code == 200
