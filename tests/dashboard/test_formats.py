"""Numbers as pages write them."""

from decimal import Decimal

import pytest
from django.utils import translation

from dashboard.templatetags.formats import measured
from experiments.metrics import MEASURES
from experiments.text import format_number, format_percent

_BY_NAME = {measure.name: measure for measure in MEASURES}

pytestmark = pytest.mark.database_free


@pytest.mark.parametrize(
    ("name", "value", "written"),
    [
        ("impressions", 12000, "12,000"),
        ("value_sum", 42.5, "42.50"),
        ("value_squares", 1244665.6257999998, "1,244,665.6258"),
        ("value_squares", 125013.91440000001, "125,013.9144"),
        ("value_squares", 1e16, "10,000,000,000,000,000.00"),
    ],
)
def test_measured__number_of_a_day__has_no_digits_of_rounding(name: str, value: float, written: str) -> None:
    with translation.override("en"):
        assert measured(value, _BY_NAME[name]) == written


@pytest.mark.parametrize("value", [-0.004, -0.0, 0.0, Decimal("-0.001")])
def test_format_number__rounded_to_0__has_no_sign(value: float | Decimal) -> None:
    with translation.override("en"):
        assert format_number(value, 2) == "0.00"
        assert format_percent(float(value) / 100, 1) == "0.0%"
