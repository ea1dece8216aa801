"""Gains of a split: priced day by day, and closed."""

import numpy as np
import pytest

from allocation.engine import Settings
from allocation.engine.analysis.gains import Rewards, new_gains, price
from tests.allocation.engine.factories import allocate_counts

BOTH = np.array([True, True])


def test_price__moving_split__adds_up() -> None:
    # the better variant is worth 0.10 a visit, the other 0.05
    trials, mean = np.array([[100.0, 100.0], [50.0, 150.0]]), np.array([0.05, 0.10])

    rewards = price(trials, mean, np.zeros(2), BOTH)

    assert rewards.given_up == pytest.approx(7.5)
    assert rewards.gained_over_even == pytest.approx(2.5)
    assert rewards.gain_error == 0


def test_price__errors_of_the_rates__make_the_error_of_the_gain() -> None:
    # 50 visits moved from one to the other: 50 (0.10 - 0.05), with the errors of both rates
    trials = np.array([[50.0, 150.0]])

    rewards = price(trials, np.array([0.05, 0.10]), np.array([0.003, 0.004]), BOTH)

    assert rewards.gain_error == pytest.approx(50 * 0.005)


def test_price__variant_not_served__is_no_part_of_the_even_split() -> None:
    rewards = price(np.array([[100.0, 0.0], [0.0, 0.0]]), np.array([0.05, 0.10]), np.zeros(2), BOTH)

    assert (rewards.gained_over_even, rewards.given_up) == pytest.approx((0, 5))


def test_price__variant_with_too_little_data__is_not_what_was_given_up() -> None:
    rewards = price(np.array([[100.0, 10.0]]), np.array([0.05, 0.50]), np.zeros(2), np.array([True, False]))

    assert rewards.given_up == pytest.approx(110 * 0.05 - 100 * 0.05 - 10 * 0.50)


def test_new_gains__days_priced_before__are_left_out() -> None:
    trials, successes = [[1000.0, 1000.0]] * 3, [[50.0, 60.0]] * 3
    decision = allocate_counts(trials, successes)
    last = int(decision.window.days[-1])

    everything = new_gains(decision, Settings().evidence, None)
    today = new_gains(decision, Settings().evidence, last - 1)

    assert everything.given_up == pytest.approx(3 * today.given_up)
    assert new_gains(decision, Settings().evidence, last) == Rewards()


def test_new_gains__rates_that_were_swapped__each_regime_has_its_own() -> None:
    # 60 days with the first in front, 60 with the second; always served 1 to 3
    trials = [[1000.0, 3000.0]] * 120
    successes = [[80.0, 150.0]] * 60 + [[50.0, 240.0]] * 60
    decision = allocate_counts(trials, successes)

    gains = new_gains(decision, Settings().evidence, None)

    # 1,000 more than even for the second: a loss of 30 a day, then a gain of 30
    assert decision.change_day is None
    assert gains.gained_over_even == pytest.approx(0, abs=100)
    assert gains.given_up == pytest.approx(60 * 3000 * 0.03 + 60 * 1000 * 0.03, rel=0.05)
