"""Numbers as pages write them."""

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from dashboard.formatting import (
    decimals_of,
    format_lift,
    format_lifts,
    format_rate,
    format_rates,
    format_shares,
)
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
        # more digits than decimal arithmetic keeps unless asked to
        ("value_squares", 1e30, f"1{10 * ',000'}.00"),
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


# Django writes more than 200 digits by powers of ten.
@given(st.floats(-1e180, 1e180), st.integers(0, 6))
def test_format_number__any_float__is_the_nearest_with_these_decimals(value: float, decimals: int) -> None:
    with translation.override("en"):
        written = Fraction(format_number(value, decimals).replace(",", ""))

    assert (written * 10**decimals).denominator == 1
    assert abs(written - Fraction(str(value))) <= Fraction(1, 2 * 10**decimals)


@pytest.mark.parametrize(("language", "written"), [("en", "1,234.5"), ("pt-br", "1.234,5")])
def test_format_number__again_in_another_language__has_its_separators(language: str, written: str) -> None:
    for _turn in range(2):
        with translation.override("en"):
            format_number(1234.5, 1)
        with translation.override(language):
            assert format_number(1234.5, 1) == written


VECTORS = json.loads((Path(__file__).parent / "vectors/decimals.json").read_text())


@pytest.mark.parametrize(("percent", "decimals"), VECTORS["decimals_of"])
def test_decimals__shared_vectors__are_those_of_the_charts(percent: float, decimals: int) -> None:
    assert decimals_of(percent) == decimals


@pytest.mark.parametrize(
    ("rate", "written"),
    [(0.0564, "5.64%"), (0.000112, "0.011%"), (0.00009, "0.0090%"), (0.5, "50.00%"), (0.0, "0.00%")],
)
def test_rate__tiny__keeps_two_significant_digits(rate: float, written: str) -> None:
    assert format_rate(rate) == written


@pytest.mark.parametrize(
    ("ends", "written"),
    [
        ((0.048, 0.064), ("4.80%", "6.40%")),
        ((0.051521, 0.051538), ("5.152%", "5.154%")),
        ((0.00000043, 0.000063), ("0.000043%", "0.0063%")),
        ((0.05, 0.05), ("5.00%", "5.00%")),
    ],
)
def test_rates__ends_of_an_interval__are_distinguished(
    ends: tuple[float, float], written: tuple[str, str]
) -> None:
    assert format_rates(*ends) == written


@pytest.mark.parametrize(
    ("lift", "written"),
    [
        (0.149, "+14.9%"),
        (-0.02, "−2.0%"),
        (0.0, "0.0%"),
        (-0.0001, "0.0%"),
        (0.0001, "0.0%"),
        (38.0, "+3,800%"),
    ],
)
def test_lift__zero_as_it_is_printed__has_no_sign(lift: float, written: str) -> None:
    assert format_lift(lift) == written


def test_lifts__narrow_interval__shows_that_its_ends_differ() -> None:
    assert format_lifts(0.00195, 0.00205) == ("+0.20%", "+0.21%")
    assert format_lifts(0.106, 0.195) == ("+10.6%", "+19.5%")


def test_shares__thirds__print_to_one_hundred() -> None:
    thirds = [Decimal("0.3334"), Decimal("0.3333"), Decimal("0.3333")]

    assert format_shares(thirds) == ["33.4%", "33.3%", "33.3%"]


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=120).filter(sum))
def test_shares__any__print_to_one_hundred(parts: list[int]) -> None:
    ticks = [Fraction(part, sum(parts)) for part in parts]
    shares = [Decimal(int(tick * 10_000)) / 10_000 for tick in ticks]
    shares[0] += 1 - sum(shares)

    with translation.override("en"):
        printed = [Decimal(text.rstrip("%")) for text in format_shares(shares)]

    assert sum(printed) == 100
    assert all(
        abs(shown - 100 * share) <= Decimal("0.1") for shown, share in zip(printed, shares, strict=True)
    )
