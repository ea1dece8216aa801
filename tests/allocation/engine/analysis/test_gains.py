"""Gains of a split: priced day by day, and closed."""

import cProfile
from collections.abc import Callable
from types import CodeType

import numpy as np
import pytest

from allocation.engine import Decision, History, Settings, allocate_many
from allocation.engine.analysis.gains import Rewards, Served, new_gains, price
from allocation.engine.evidence.day_worth import log_worth
from allocation.engine.evidence.earlier_day_worth import worth_of_days
from tests.allocation.engine.factories import allocate_counts, allocate_request, make_history, make_request

BOTH = np.array([True, True])


def _new(trials: list[list[float]]) -> Served:
    return Served(np.array(trials), np.zeros_like(trials))


def test_price__moving_split__adds_up() -> None:
    # the better variant is worth 0.10 a visit, the other 0.05
    served, mean = _new([[100.0, 100.0], [50.0, 150.0]]), np.array([0.05, 0.10])

    rewards = price(served, mean, np.zeros(2), BOTH)

    assert rewards.given_up == pytest.approx(7.5)
    assert rewards.gained_over_even == pytest.approx(2.5)
    assert rewards.gain_error == 0


def test_price__errors_of_the_rates__make_the_error_of_the_gain() -> None:
    # 50 visits moved from one to the other: 50 (0.10 - 0.05), with the errors of both rates
    served = _new([[50.0, 150.0]])

    rewards = price(served, np.array([0.05, 0.10]), np.array([0.003, 0.004]), BOTH)

    assert rewards.gain_error == pytest.approx(50 * 0.005)


def test_price__variant_not_served__is_no_part_of_the_even_split() -> None:
    rewards = price(_new([[100.0, 0.0], [0.0, 0.0]]), np.array([0.05, 0.10]), np.zeros(2), BOTH)

    assert (rewards.gained_over_even, rewards.given_up) == pytest.approx((0, 5))


def test_price__variant_with_too_little_data__is_not_what_was_given_up() -> None:
    rewards = price(_new([[100.0, 10.0]]), np.array([0.05, 0.50]), np.zeros(2), np.array([True, False]))

    assert rewards.given_up == pytest.approx(110 * 0.05 - 100 * 0.05 - 10 * 0.50)


def test_new_gains__days_priced_before__are_left_out() -> None:
    trials, successes = [[1000.0, 1000.0]] * 3, [[50.0, 60.0]] * 3
    decision = allocate_counts(trials, successes)
    two_days = np.array(trials) * [[1], [1], [0]]

    everything = new_gains(decision, Settings())
    today = new_gains(decision, Settings(), two_days)

    assert everything.given_up == pytest.approx(3 * today.given_up)
    assert new_gains(decision, Settings(), np.array(trials)) == Rewards()


def test_new_gains__part_of_a_day_priced_before__adds_up_to_the_whole_day() -> None:
    decision = allocate_counts([[2000.0, 6000.0]], [[100.0, 480.0]])

    whole = new_gains(decision, Settings())
    # first the control alone was reported, which says nothing of an even split
    rest = new_gains(decision, Settings(), np.array([[2000.0, 0.0]]))
    half = new_gains(decision, Settings(), np.array([[1000.0, 3000.0]]))

    # 2,000 more than even for the variant that is worth 0.03 more
    assert whole.gained_over_even == pytest.approx(60, abs=1)
    assert rest.gained_over_even == pytest.approx(whole.gained_over_even)
    assert half.gained_over_even == pytest.approx(whole.gained_over_even / 2)


def test_new_gains__retired_variant_with_little_data__is_not_what_was_given_up() -> None:
    trials, successes = [[5000.0, 5000.0, 0.0]] * 20, [[50.0, 50.0, 0.0]] * 20
    trials[0], successes[0] = [5000.0, 5000.0, 10.0], [50.0, 50.0, 3.0]
    decision = allocate_counts(trials, successes, active=np.array([True, True, False]))

    assert decision.low_evidence.tolist() == [False, False, True]
    assert decision.missing_trials[2] > 400
    assert new_gains(decision, Settings()).given_up == pytest.approx(0, abs=1)


def test_new_gains__little_data_in_an_earlier_regime__is_not_what_was_given_up() -> None:
    trials = [[2000.0, 2000.0, 0.0]] * 120
    successes = [[80.0, 120.0, 0.0]] * 60 + [[120.0, 80.0, 0.0]] * 60
    alone = new_gains(allocate_counts(trials, successes), Settings()).given_up
    trials[5], successes[5] = [2000.0, 2000.0, 10.0], [80.0, 120.0, 5.0]

    beside = new_gains(allocate_counts(trials, successes), Settings()).given_up

    assert beside == pytest.approx(alone, rel=0.02)


def test_new_gains__rates_that_were_swapped__each_regime_has_its_own() -> None:
    # 60 days with the first in front, 60 with the second; always served 1 to 3
    trials = [[1000.0, 3000.0]] * 120
    successes = [[80.0, 150.0]] * 60 + [[50.0, 240.0]] * 60
    decision = allocate_counts(trials, successes)

    gains = new_gains(decision, Settings())

    # 1,000 more than even for the second: a loss of 30 a day, then a gain of 30
    assert decision.change_day is None
    assert gains.gained_over_even == pytest.approx(0, abs=100)
    assert gains.given_up == pytest.approx(60 * 3000 * 0.03 + 60 * 1000 * 0.03, rel=0.05)


@pytest.mark.parametrize(("rules", "given_up"), [(7, 60_000 * (0.5 - 0.055)), (8, 60_000 * (0.09 - 0.055))])
def test_new_gains__served_before_a_regime_alone__is_not_what_that_regime_gave_up(
    rules: int, given_up: float
) -> None:
    # the middle thirty days serve two variants, at 0.02 and 0.09; nobody is judged, and the prior's mean is 0.5
    trials = [[1000.0, 1000.0, 1000.0]] * 30 + [[1000.0, 1000.0, 0.0]] * 30 + [[1000.0, 1000.0, 1000.0]] * 30
    successes = [[50.0, 50.0, 50.0]] * 30 + [[20.0, 90.0, 0.0]] * 30 + [[90.0, 20.0, 50.0]] * 30
    chosen, history = Settings(min_impressions=10**6, beta_prior=1.0), make_history(trials, successes)
    (decision,) = allocate_many([make_request(history, settings=chosen, rules=rules)])
    all_but_these = np.array(trials)
    all_but_these[30:60] = 0

    gains = new_gains(decision, chosen, all_but_these)

    assert gains.given_up == pytest.approx(given_up, rel=0.001)


@pytest.mark.parametrize(
    ("rules", "given_up"), [(7, 4_000_000 * (0.0819 - 0.05125)), (8, 4_000_000 * (0.0525 - 0.05125))]
)
def test_new_gains__judged_by_older_days_alone__is_not_what_a_regime_gave_up(
    rules: int, given_up: float
) -> None:
    # forty days serve two variants, at 0.05 and 0.0525. Of the third ten days before them are kept, as some 9,600
    # trials at 0.0819: enough to be judged
    trials = np.array([[50_000.0] * 3] * 10 + [[50_000.0, 50_000.0, 0.0]] * 40 + [[50_000.0] * 3] * 30)
    rates = [[0.05, 0.05, 0.08]] * 10 + [[0.05, 0.0525, 0.08]] * 40 + [[0.08, 0.05, 0.05]] * 30
    history = make_history(trials.tolist(), (trials * rates).round().tolist())
    (decision,) = allocate_many([make_request(history, rules=rules)])
    all_but_these = trials.copy()
    all_but_these[10:50] = 0

    gains = new_gains(decision, Settings(), all_but_these)

    assert gains.given_up == pytest.approx(given_up, rel=0.02)


def test_new_gains__few_orders_in_an_earlier_regime__are_not_what_was_given_up() -> None:
    # orders are worth 40, but for two of 4,000 of the third variant on one day: 8 a visit beside 3.60 and 0.80
    trials = np.full((90, 3), 1000.0)
    trials[np.arange(90) != 45, 2] = 0
    orders = np.array([[50.0, 50.0, 0.0]] * 30 + [[20.0, 90.0, 0.0]] * 30 + [[90.0, 20.0, 0.0]] * 30)
    values, squares = 40.0 * orders, 1600.0 * orders
    values[45, 2], squares[45, 2] = 8000.0, 32e6
    chosen = Settings(dispersion=False)
    history = History(np.arange(1, 91), trials, trials, values, 0.0, squares)
    decision = allocate_request(make_request(history, settings=chosen))
    all_but_these = trials.copy()
    all_but_these[46:60] = 0

    gains = new_gains(decision, chosen, all_but_these)

    assert gains.given_up == pytest.approx(14 * 2000 * (3.60 - 2.20), rel=0.01)


@pytest.mark.parametrize(("rules", "given_up"), [(7, 120_000 * (0.5 - 0.055)), (8, 120_000 * (0.09 - 0.055))])
def test_new_gains__all_that_were_served_retired__newcomers_are_not_what_was_given_up(
    rules: int, given_up: float
) -> None:
    # of the newcomers there is no data: their rate is the prior's, 0.5
    history = make_history([[1000.0, 1000.0, 0.0, 0.0]] * 60, [[20.0, 90.0, 0.0, 0.0]] * 60)
    chosen, active = Settings(beta_prior=1.0), np.array([False, False, True, True])
    request = make_request(history, settings=chosen, active=active, control=2, rules=rules)

    gains = new_gains(allocate_many([request])[0], chosen)

    assert gains.given_up == pytest.approx(given_up, rel=0.001)


def _eight_regimes(rules: int) -> Decision:
    """Two weeks of each, with the first and the second variant in front by turns."""
    trials = [[1000.0, 3000.0]] * 112
    successes = ([[80.0, 150.0]] * 14 + [[50.0, 240.0]] * 14) * 4
    return allocate_many([make_request(make_history(trials, successes), rules=rules)])[0]


def _calls(code: CodeType, work: Callable[[], object]) -> int:
    """How often the work calls the function of this code.

    Calls are what rules differ in, and no answer shows them. Times would hang on the machine; a profile counts calls
    without anything standing in for our code.
    """
    with cProfile.Profile() as profile:
        work()
    return sum(entry.callcount for entry in profile.getstats() if entry.code is code)


@pytest.mark.parametrize("rules", [7, 8])
def test_new_gains__many_regimes__each_has_its_own_rates(rules: int) -> None:
    gains = new_gains(_eight_regimes(rules), Settings())

    assert gains.gained_over_even == pytest.approx(0, abs=100)
    assert gains.given_up == pytest.approx(56 * 3000 * 0.03 + 56 * 1000 * 0.03, rel=0.05)


@pytest.mark.parametrize(("rules", "looks"), [(7, 7), (8, 1)])
def test_new_gains__many_regimes__looks_at_the_days_before_the_present_one_once(
    rules: int, looks: int
) -> None:
    decision = _eight_regimes(rules)

    assert _calls(log_worth.__code__, lambda: new_gains(decision, Settings())) == looks


@pytest.mark.parametrize(("rules", "looks"), [(2, 7), (5, 7), (6, 0), (8, 0)])
def test_new_gains__rules_before_6__find_earlier_regimes_with_the_memory_of_then(
    rules: int, looks: int
) -> None:
    decision = _eight_regimes(rules)

    assert _calls(worth_of_days.__code__, lambda: new_gains(decision, Settings())) == looks


@pytest.mark.parametrize("trials_of_earlier_days", [[2000.0, 3000.0], [0.0, 0.0]])
def test_new_gains__one_earlier_regime__is_priced_as_by_the_rules_before(
    trials_of_earlier_days: list[float],
) -> None:
    trials = [trials_of_earlier_days] * 30 + [[1000.0, 3000.0]] * 60
    successes = [[0.08 * n for n in trials_of_earlier_days]] * 30 + [[50.0, 240.0]] * 60
    history = make_history(trials, successes)
    before, now = allocate_many([make_request(history, rules=rules) for rules in (7, 8)])
    priced = before.window.trials / 2
    priced[:30] = 500.0

    assert before.day_weights[:30].max() < 0.5
    assert new_gains(now, Settings(), priced) == pytest.approx(
        new_gains(before, Settings(), priced), rel=1e-9
    )
