"""The OpenAPI document: descriptions, examples, and the refusals of every call."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from django.test import Client

from bandit_project.api.openapi.glossary import SPECIAL, WORDS

pytestmark = [pytest.mark.django_db, pytest.mark.database_free]

_read: list[dict[str, Any]] = []


@pytest.fixture
def document(client: Client) -> dict[str, Any]:
    """The document, read once: to make and read half a megabyte takes some of a second."""
    if not _read:
        _read.append(yaml.load(client.get("/schema").content, yaml.CSafeLoader))
    return _read[0]


def _calls(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield f"{method.upper()} {path}", operation


@pytest.mark.parametrize(("accept", "kind"), [("*/*", "openapi"), ("application/json", "json")])
def test_schema__asked_again__is_not_made_again(client: Client, accept: str, kind: str) -> None:
    first, again = (client.get("/schema", headers={"Accept": accept}) for _ in range(2))

    assert first.status_code == 200
    assert kind in first["Content-Type"]
    assert again.content is first.content


def test_schema__every_field_and_parameter__is_described(document: dict[str, Any]) -> None:
    fields = {
        f"{component}.{name}"
        for component, schema in document["components"]["schemas"].items()
        for name, field in schema.get("properties", {}).items()
        if not field.get("description")
    }
    parameters = {
        f"{call}?{parameter['name']}"
        for call, operation in _calls(document)
        for parameter in operation.get("parameters", ())
        if not parameter.get("description")
    }

    assert fields | parameters == set()


def test_schema__help_text_beside_a_field__wins_over_the_glossary(document: dict[str, Any]) -> None:
    properties = document["components"]["schemas"]["HistoryEntry"]["properties"]

    assert properties["total_clicks"]["description"] == "In the decision's window."
    assert WORDS["total_clicks"] == "Clicks in the window."


def test_glossary__every_entry__describes_a_field_or_parameter(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    fields = {(component, name) for component in schemas for name in schemas[component].get("properties", {})}
    parameters = {p["name"] for _, operation in _calls(document) for p in operation.get("parameters", ())}

    assert SPECIAL.keys() <= fields
    assert WORDS.keys() <= {name for _, name in fields} | parameters


@pytest.mark.parametrize(
    ("path", "method", "refusals"),
    [
        ("/api/v1/experiments/", "get", {422, 404}),
        ("/api/v1/experiments/", "post", {409, 413, 415, 422}),
        ("/api/v1/experiments/{reference}/", "delete", {404, 412, 415, 422}),
        ("/api/v1/experiments/{reference}/", "patch", {404, 409, 412, 413, 415, 422}),
        ("/api/v1/experiments/{reference}/start/", "post", {404, 409, 412, 413, 415, 422}),
        ("/api/v1/experiments/{reference}/assignments/", "post", {404, 413, 415, 422}),
        ("/api/v1/experiments/{reference}/allocation/", "get", {404, 412, 422}),
        ("/api/v1/experiments/{reference}/statistics/", "get", {404, 409, 422}),
        ("/api/v1/simulations/", "post", {413, 415, 422}),
        ("/allocation", "get", {404, 409, 422}),
        ("/events", "post", {404, 409, 413, 415, 422}),
    ],
)
def test_schema__call__names_the_refusals_of_its_kind_and_its_own(
    document: dict[str, Any], path: str, method: str, refusals: set[int]
) -> None:
    answers = document["paths"][path][method]["responses"]

    of_any_call = {400, 401, 403, 405, 406, 429, 503}
    assert {int(status) for status in answers if status >= "4"} == of_any_call | refusals


def test_schema__ofrep__is_described_with_the_protocols_refusals(document: dict[str, Any]) -> None:
    flags, flag = (
        document["paths"][f"/ofrep/v1/evaluate/flags{more}"]["post"]["responses"] for more in ("", "/{key}")
    )

    assert set(flags) == {"200", "304", "400", "401", "403", "405", "429", "503"}
    assert set(flag) == {"200", "400", "401", "403", "404", "405", "429", "503"}
    refusal = document["components"]["responses"]["Ofrep400"]["content"]
    assert refusal == {"application/json": {"schema": {"$ref": "#/components/schemas/OfrepError"}}}


def test_schema__every_call__has_a_summary_described_answers_and_examples_of_requests_and_refusals(
    document: dict[str, Any],
) -> None:
    for call, operation in _calls(document):
        answers = operation["responses"]
        assert operation["summary"], call
        assert operation["summary"].count("(") == operation["summary"].count(")"), call
        assert any(status.startswith("2") and answers[status]["description"] for status in answers), call
        for content in operation.get("requestBody", {}).get("content", {}).values():
            assert content["examples"], call
        kind = "Ofrep" if " /ofrep/" in call else "Problem"
        for status in (status for status in answers if status >= "4"):
            assert answers[status] == {"$ref": f"#/components/responses/{kind}{status}"}, call
    for name, refusal in document["components"]["responses"].items():
        for example in refusal["content"].get("application/problem+json", {}).get("examples", {}).values():
            assert name == f"Problem{example['value']['status']}"


def test_schema__every_post_that_writes_under_v1__takes_an_idempotency_key(document: dict[str, Any]) -> None:
    without = {
        call
        for call, operation in _calls(document)
        if call.startswith("POST /api/v1/")
        and "Idempotency-Key" not in {parameter["name"] for parameter in operation.get("parameters", ())}
    }

    assert without == {
        "POST /api/v1/simulations/",
        "POST /api/v1/backtests/",
        "POST /api/v1/experiments/{reference}/assignments/",
    }


def test_schema__settings_in_force__may_be_null_where_the_default_is_blank(document: dict[str, Any]) -> None:
    fields = document["components"]["schemas"]["SettingsInForce"]["properties"]

    nullable = {name for name, field in fields.items() if "null" in field["type"]}
    assert nullable == {"beta_prior", "window_days"}
