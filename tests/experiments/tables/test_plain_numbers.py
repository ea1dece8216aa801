"""Numbers are written in the digits 0 to 9, in forms and in queries: Python reads those of every script, and 1_000."""

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from rest_framework.test import APIClient

from experiments.tables.number_fields import PlainDecimalField, PlainFloatField, PlainIntegerField
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
