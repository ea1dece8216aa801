"""An interval for values that may be looked at every day."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation.engine.analysis.always_valid import always_valid_lift
from allocation.engine.lab.orders import OrderValues, draw_values
from allocation.engine.posterior.beta import Floats

Shop = tuple[Floats, Floats, Floats]


def shop(seed: int, worth: list[float], *, days: int = 30, daily: int = 1000) -> Shop:
    """3% of the visitors buy; levels of the days and shares of the variants swing."""
    rng = np.random.default_rng(seed)
    trials = rng.poisson(daily * len(worth) * rng.dirichlet(np.full(len(worth), 5.0), days)) + 1
    orders = rng.binomial(trials, (0.03 * rng.lognormal(0, 0.3, (days, 1))).clip(0, 1))
    return trials.astype(np.float64), *draw_values(orders, OrderValues(np.array(worth), 0.9), rng)


def test_always_valid_lift__one_day__has_the_closed_form() -> None:
    # 100 visitors each, 20 of the variant's and 10 of the control's buy for 1
    trials, values = np.array([[100.0, 100.0]]), np.array([[10.0, 20.0]])

    answer = always_valid_lift(trials, values, 0, squares=values)

    variance = np.array([10 - 1, 20 - 4]) * 100 / 99
    phi = variance.sum() / 30
    score, known = (20 - 10) / 2 / phi, variance.sum() / 4 / phi**2 + 25
    assert answer.p_value[1] == pytest.approx(np.sqrt(known / 25) * np.exp(-(score**2) / (2 * known)))
    assert (answer.low[0], answer.high[0]) == (0, 0)
    assert answer.low[1] < 0 < 1 < answer.high[1]


def test_always_valid_lift__ends__are_where_the_bet_reaches_twenty() -> None:
    trials, values, squares = shop(3, [50, 60], days=60, daily=3000)

    answer = always_valid_lift(trials, values, 0, squares=squares)

    for lift in (answer.low[1], answer.high[1]):
        # values of the variant divided by the ratio are those of no difference, at its own weights of the days
        weight = (1 + lift) * trials[:, 1] / ((1 + lift) * trials[:, 1] + trials[:, 0])
        variance = squares - values**2 / trials
        variance *= trials / (trials - 1)
        phi = variance.sum() / values.sum()
        score = ((1 - weight) * values[:, 1] - weight * values[:, 0]).sum() / phi
        known = ((1 - weight) ** 2 * variance[:, 1] + weight**2 * variance[:, 0]).sum() / phi**2 + 25
        assert np.sqrt(25 / known) * np.exp(score**2 / (2 * known)) == pytest.approx(20, rel=1e-6)
    assert 0 < answer.low[1] < 0.2 < answer.high[1]


def test_always_valid_lift__no_value__says_nothing() -> None:
    nothing = np.zeros((3, 2))

    answer = always_valid_lift(np.full((3, 2), 100.0), nothing, 0, squares=nothing)

    assert (answer.low[1], answer.p_value[1]) == (-1, 1)
    assert answer.high[1] == pytest.approx(1e9)


def test_always_valid_lift__no_common_day__says_nothing() -> None:
    trials = np.array([[100.0, 0.0], [0.0, 100.0]])

    answer = always_valid_lift(trials, trials, 0, squares=trials * 5)

    assert (answer.low[1], answer.p_value[1]) == (-1, 1)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), power=st.integers(-20, 20))
def test_always_valid_lift__other_currency__is_the_same(seed: int, power: int) -> None:
    trials, values, squares = shop(seed, [50, 50, 80], days=5, daily=200)

    one = always_valid_lift(trials, values, 0, squares=squares)
    other = always_valid_lift(trials, values * 2.0**power, 0, squares=squares * 4.0**power)

    np.testing.assert_array_equal(other.low, one.low)
    np.testing.assert_array_equal(other.high, one.high)
    np.testing.assert_array_equal(other.p_value, one.p_value)


def test_always_valid_lift__no_difference_looked_at_daily__is_rarely_wrong() -> None:
    wrong = sum(
        always_valid_lift(*shop(seed, [50, 50])[:2], 0, squares=shop(seed, [50, 50])[2]).p_value[1] < 0.05
        for seed in range(300)
    )

    assert wrong / 300 <= 0.05
