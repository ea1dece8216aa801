"""Numbers are written in the digits 0 to 9, in forms and in queries: Python reads those of every script, and 1_000."""

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils.translation import override
from rest_framework.test import APIClient

from experiments.tables.number_fields import (
    PercentField,
    PlainDecimalField,
    PlainFloatField,
    PlainIntegerField,
)
from tests.factory import make_running

_ODD = ["1_000", "\uff11", "\u0661", "\u00b2", "0x10", "NaN", "Infinity", "1\x00"]


@pytest.mark.parametrize("number", _ODD)
@pytest.mark.parametrize("field", [PlainDecimalField, PlainFloatField, PlainIntegerField])
def test_field__digits_that_only_python_reads__are_refused(
    field: type[PlainDecimalField | PlainFloatField | PlainIntegerField], number: str
) -> None:
    with pytest.raises(ValidationError):
        field().clean(number)


def test_field__digits_of_every_day__are_read() -> None:
    assert float(PlainDecimalField().clean("4.5") or 0) == 4.5
    assert PlainFloatField().clean("1e-3") == 0.001
    assert PlainIntegerField().clean("-12") == -12


@pytest.mark.parametrize(
    ("language", "text", "percent", "decimal", "shown"),
    [
        ("en", "4,5", "4.5", "4.5", "4.5"),
        ("pt-br", "4,5", "4.5", "4.5", "4,5"),
        ("pt-br", "4.5", "4.5", "4.5", "4,5"),
        ("en", " -0,125 ", "-0.125", None, "-0.125"),
        ("pt-br", "0,125", "0.125", "0.125", "0,125"),
        ("en", "8", "8", "8", "8"),
        ("pt-br", "x", None, None, "x"),
    ],
)
def test_field__of_a_percentage__has_a_point_or_a_comma_and_never_thousands(
    language: str, text: str, percent: str | None, decimal: str | None, shown: str
) -> None:
    with override(language):
        assert (_cleaned(PercentField(), text), _cleaned(PlainDecimalField(), text)) == (percent, decimal)
        assert PercentField().prepare_value(text) == shown


def _cleaned(field: PlainDecimalField, text: str) -> str | None:
    try:
        return str(field.clean(text))
    except ValidationError:
        return None


@pytest.mark.django_db
@pytest.mark.parametrize("number", _ODD[:4])
@pytest.mark.parametrize(
    "path", ["/experiments?limit=", "/experiments?offset=", "/allocation?experiment_id=1&window_days="]
)
def test_query__digits_that_only_python_reads__are_refused(api: APIClient, path: str, number: str) -> None:
    make_running()

    assert api.get(path + number).status_code == 422


@pytest.mark.django_db
@pytest.mark.parametrize("number", _ODD[:4])
def test_page__digits_that_only_python_reads__are_no_page(api: APIClient, number: str) -> None:
    assert api.get("/api/v1/experiments/?page=1").status_code == 200
    assert api.get(f"/api/v1/experiments/?page={number}").status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["base_rate", "uplift", "daily_traffic", "variants"])
@pytest.mark.parametrize("number", _ODD[:3])
def test_planner__digits_that_only_python_reads__are_refused(client: Client, name: str, number: str) -> None:
    response = client.get("/dashboard/planner/", {name: number})

    assert response.context["form"].has_error(name)
