"""The classical plan, against published sample sizes and by hand."""

import math

import numpy as np
import pytest

from allocation.engine.lab.orders import OrderValues, draw_values
from allocation.engine.lab.sample_size import fixed_horizon, sample_size


@pytest.mark.parametrize(
    ("first", "second", "power", "needed"),
    [
        # Fleiss, Levin & Paik (2003), table A.4 before the continuity correction; R's power.prop.test agrees
        (0.05, 0.06, 0.80, 8158),
        (0.10, 0.20, 0.80, 199),
        (0.25, 0.40, 0.90, 203),
        (0.50, 0.60, 0.80, 388),
    ],
)
def test_sample_size__published_cases__are_met(
    first: float, second: float, power: float, needed: int
) -> None:
    assert math.ceil(sample_size(first, second, 0.05, power)) == needed
    assert sample_size(second, first, 0.05, power) == pytest.approx(sample_size(first, second, 0.05, power))


def test_sample_size__by_hand() -> None:
    # (1.959964 sqrt(2 * 0.055 * 0.945) + 0.841621 sqrt(0.05 * 0.95 + 0.06 * 0.94))^2 / 0.01^2
    by_hand = (1.959964 * math.sqrt(0.10395) + 0.841621 * math.sqrt(0.1039)) ** 2 / 0.0001

    assert sample_size(0.05, 0.06, 0.05, 0.80) == pytest.approx(by_hand, rel=1e-6)


def test_fixed_horizon__two_variants__share_the_traffic() -> None:
    plan = fixed_horizon(0.05, 0.06, variants=2, daily_traffic=1000)

    assert plan == (8158, 16316, 17, 0.05)


def test_fixed_horizon__more_variants__each_comparison_is_stricter() -> None:
    two, four = (fixed_horizon(0.05, 0.06, variants=n, daily_traffic=1000) for n in (2, 4))

    assert four.alpha == pytest.approx(0.05 / 3)
    assert four.per_variant > two.per_variant
    assert four.total == 4 * four.per_variant


@pytest.mark.parametrize("rate", [0.001, 0.04, 0.5])
def test_sample_size__smaller_differences__need_more(rate: float) -> None:
    sizes = [sample_size(rate, rate * uplift, 0.05, 0.80) for uplift in (1.5, 1.2, 1.1, 1.02)]

    assert sizes == sorted(sizes)
    # half the difference needs about four times the visits
    assert sample_size(rate, rate * 1.01, 0.05, 0.80) / sizes[-1] == pytest.approx(4, rel=0.05)


def test_sample_size__values_that_vary__takes_as_many_times_the_conversions() -> None:
    count, value = (sample_size(0.001, 0.0012, 0.05, 0.80, cv) for cv in (0.0, 1.5))

    assert value / count == pytest.approx(1 + 1.5**2, rel=0.005)


def test_sample_size__values__has_the_power_that_it_says() -> None:
    """2,000 tests of values by their means, at the planned size."""
    rng = np.random.default_rng(1)
    size = math.ceil(sample_size(0.05, 0.06, 0.05, 0.80, 0.8))
    orders = rng.binomial(size, np.broadcast_to([0.05, 0.06], (2000, 2)))
    values, squares = draw_values(orders, OrderValues(np.ones(2), 0.8), rng)

    mean, variance = values / size, (squares - values**2 / size) / size
    shown = (mean[:, 1] - mean[:, 0]) / np.sqrt(variance.sum(axis=1) / size) > 1.959964

    assert size == pytest.approx(8158 * (1 - 0.055 + 0.64) / 0.945, rel=0.01)
    assert shown.mean() == pytest.approx(0.80, abs=0.03)
