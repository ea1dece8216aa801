"""Numbers as pages write them."""

import pytest
from django.utils import translation

from dashboard.templatetags.formats import measured
from experiments.metrics import MEASURES

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
