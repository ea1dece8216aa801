"""From values to shares: too few orders, scale, order, batches, and the gain in money."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation.engine import RULES, Decision, History, Request, Settings, allocate_many
from allocation.engine.analysis.gains import new_gains
from allocation.engine.lab.orders import OrderValues, draw_values
from allocation.engine.posterior.beta import Floats
from allocation.engine.state import state_of
from tests.allocation.engine.factories import make_history, make_request, random_request

SEED = st.integers(0, 2**32 - 1)


def of_values(trials: Floats, values: Floats, squares: Floats) -> History:
    return History(np.arange(1, 1 + len(trials)), trials, trials, values, squares=squares)


def shop(days: int, daily: int, worth: list[float], *, conversion: float = 0.03, seed: int = 1) -> History:
    rng = np.random.default_rng(seed)
    trials = np.full((days, len(worth)), daily)
    values = draw_values(rng.binomial(trials, conversion), OrderValues(np.array(worth), 0.9), rng)
    return of_values(trials.astype(np.float64), *values)


def decide(history: History, **changes: object) -> Decision:
    return allocate_many([make_request(history, **changes)])[0]


def random_values(seed: int) -> Request:
    """The counts of a random request as orders, of log-normal worth."""
    rng = np.random.default_rng(seed)
    request = random_request(rng, int(rng.integers(1, 6)))
    counts = request.history
    mean = np.power(10.0, rng.uniform(-2, 4, counts.trials.shape[1]))
    worth = OrderValues(mean, float(rng.uniform(0, 2)))
    orders = np.minimum(counts.successes, 10**6).astype(np.int64)
    values, squares = draw_values(orders, worth, rng)
    return replace(request, history=replace(counts, successes=values, squares=squares))


def test_decision__equal_conversion_dearer_orders__finds_them_and_speaks_of_money() -> None:
    decision = decide(shop(30, 2000, [50, 65, 50]))

    assert decision.lead == 1
    assert decision.probability_best[1] > 0.99
    assert decision.mean == pytest.approx([1.5, 1.95, 1.5], rel=0.08)
    assert (decision.interval_low < decision.mean).all()
    assert (decision.mean < decision.interval_high).all()
    assert decision.expected_loss[0] == pytest.approx(0.45, rel=0.35)
    assert decision.successes == pytest.approx(decision.window.successes.sum(axis=0))
    assert not decision.low_evidence.any()
    assert (decision.missing_trials == 0).all()


def test_decision__fewer_than_twenty_effective_orders__is_not_enough_data() -> None:
    decision = decide(shop(10, 100, [50, 50]), settings=Settings(min_impressions=0))

    assert (decision.effective_orders < 20).all()
    assert decision.low_evidence.all()
    assert state_of(decision, 10) == "optimizing"
    # so many trials more bring what is missing at the present worth of a trial
    lacking = 20 - decision.effective_orders
    assert decision.missing_trials * decision.mean / decision.spread == pytest.approx(lacking)


def test_decision__one_order_makes_half_of_the_value__is_seen() -> None:
    history = shop(20, 2000, [50, 50])
    values, squares = history.successes.copy(), np.array(history.squares)
    values[3, 1] += 50_000
    squares[3, 1] += 50_000**2

    before, after = decide(history), decide(replace(history, successes=values, squares=squares))

    assert (before.largest_part < 0.1).all()
    assert after.largest_part[1] == pytest.approx(50_000 / values[:, 1].sum(), rel=0.01)
    assert after.probability_best[1] < 0.99


@pytest.mark.parametrize(("rules", "part"), [(RULES, 1 / 50), (2, 1 / np.sqrt(50))])
def test_decision__equal_orders_of_one_day__none_of_them_is_large(rules: int, part: float) -> None:
    """Decisions made before the number of orders counted are computed again without it."""
    visits, orders = np.full((1, 2), 1000.0), np.full((1, 2), 50.0)
    history = replace(of_values(visits, orders * 30, orders * 900), orders=orders)

    decision = decide(history, rules=rules)

    assert decision.largest_part == pytest.approx([part, part])


def test_decision__counts__have_no_orders_to_be_too_few() -> None:
    trials = np.full((5, 2), 1000.0)

    decision = decide(History(np.arange(1, 6), trials, trials, trials / 10))

    assert (decision.unit, decision.spread.tolist(), decision.largest_part.tolist()) == (1, [1, 1], [0, 0])
    assert np.isinf(decision.effective_orders).all()


def test_gains__values__are_money() -> None:
    history = shop(30, 2000, [50, 65])
    trials = history.trials.copy()
    trials[20:] = [1000, 3000]
    factor = trials / history.trials
    uneven = of_values(trials, history.successes * factor, np.array(history.squares) * factor)

    one, hundredfold = (
        decide(of_values(trials, c * uneven.successes, c**2 * np.array(uneven.squares))) for c in (1, 100)
    )

    gains = new_gains(one, Settings())
    # 1,000 visitors a day for ten days at about 0.45 more than the other variant gives
    assert gains.gained_over_even == pytest.approx(10 * 1000 * (one.mean[1] - one.mean[0]), rel=1e-6)
    assert gains.gained_over_even == pytest.approx(4500, rel=0.3)
    assert new_gains(hundredfold, Settings()) == pytest.approx([100 * sum_ for sum_ in gains])


@settings(max_examples=40, deadline=None)
@given(seed=SEED, power=st.integers(-20, 20))
def test_allocate__other_currency__leaves_shares_and_scales_rates(seed: int, power: int) -> None:
    request, factor = random_values(seed), 2.0**power
    given_, squares = request.history, np.array(request.history.squares)
    other = replace(given_, successes=given_.successes * factor, squares=squares * factor**2)

    one, scaled = allocate_many([request, replace(request, history=other)])

    assert scaled.shares.tolist() == one.shares.tolist()
    assert scaled.probability_best.tolist() == one.probability_best.tolist()
    assert scaled.value_remaining == one.value_remaining
    if one.window.successes.any():
        assert scaled.mean.tolist() == (one.mean * factor).tolist()
        assert scaled.interval_high.tolist() == (one.interval_high * factor).tolist()


def ordinary_request(rng: np.random.Generator, k: int) -> Request:
    """Up to a month of days, whose numbers of trials differ widely."""
    trials = np.floor(10 ** rng.uniform(1, 4, (int(rng.integers(1, 31)), k)))
    successes = rng.binomial(trials.astype(np.int64), rng.beta(2, 30, (1, k))).astype(np.float64)
    return make_request(make_history(trials.tolist(), successes.tolist()))


@settings(max_examples=25, deadline=None)
@given(seed=SEED, sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_allocate_many__any_company__is_to_the_last_bit_what_each_is_alone(
    seed: int, sizes: list[int]
) -> None:
    rng = np.random.default_rng(seed)
    odd, plain = ([make(rng, k) for k in sizes] for make in (random_request, ordinary_request))
    requests = [random_values(seed), *odd, *plain, random_values(seed + 1)]

    together = allocate_many(requests)

    for request, found in zip(requests, together, strict=True):
        alone = allocate_many([request])[0]
        for field in fields(Decision):
            if field.name != "window":
                ours, own = getattr(found, field.name), getattr(alone, field.name)
                np.testing.assert_array_equal(ours, own, err_msg=field.name)


def test_value_remaining__every_trial_succeeded__is_the_same_alone_and_in_company() -> None:
    rng = np.random.default_rng(8)
    request = random_request(rng, 3)

    together = allocate_many([random_values(8), request, random_values(9)])[1]

    alone = allocate_many([request])[0]
    assert together.value_remaining == alone.value_remaining
