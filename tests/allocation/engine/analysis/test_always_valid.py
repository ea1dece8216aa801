"""An interval that may be looked at every day."""

from math import exp, sqrt, tau

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import integrate

from allocation.engine.analysis.always_valid import (
    FIFTH,
    MOST_LOOKS,
    MOST_LOOKS_IN_ALL,
    always_valid_lift,
    estimate_by_cumulants,
    log_bets,
    looks,
)
from allocation.engine.analysis.pairs import Pair, pair_of
from allocation.engine.posterior.beta import Floats

Counts = tuple[Floats, Floats]


def random_counts(seed: int, size: float, days: int = 12) -> Counts:
    rng = np.random.default_rng(seed)
    trials = 1 + rng.poisson(size * rng.dirichlet([2, 2], days))
    rates = np.array([0.05, 0.06]) * rng.lognormal(0, 0.3, (days, 1))
    return trials.astype(np.float64), rng.binomial(trials, rates).astype(np.float64)


def log_likelihood(x: float, trials: Floats, successes: Floats, phi: float) -> float:
    total = successes.sum(axis=1)
    level = np.log(np.exp(x) * trials[:, 1] + trials[:, 0])
    return float((successes[:, 1].sum() * x - (total * level).sum()) / phi)


def normal(x: float) -> float:
    """The density of N(0, 0.2^2)."""
    return exp(-((x / 0.2) ** 2) / 2) / (0.2 * sqrt(tau))


def log_bet_by_scipy(x: float, trials: Floats, successes: Floats, phi: float) -> float:
    """ln M(e^x), by quad."""

    here = log_likelihood(x, trials, successes, phi)

    def ratio(other: float) -> float:
        moved = log_likelihood(other, trials, successes, phi) - here
        return exp(moved) * normal(other)

    grid = np.linspace(-1.5, 1.5, 3001)
    mode = float(grid[np.argmax([ratio(point) for point in grid])])
    points = [mode + shift for shift in (-0.3, -0.1, -0.03, -0.01, 0, 0.01, 0.03, 0.1, 0.3)]
    return float(np.log(integrate.quad(ratio, -2, 2, points=points, limit=400, epsabs=0)[0]))


@pytest.mark.parametrize("size", [30, 1000, 100_000])
@pytest.mark.parametrize("phi", [1.0, 2.5])
def test_log_bets__any_counts__agree_with_scipy(size: int, phi: float) -> None:
    trials, successes = random_counts(size, size)

    for lift in (0.0, 0.3):
        expected = log_bet_by_scipy(float(np.log1p(lift)), trials, successes, phi)
        assert log_bets(trials, successes, lift, phi)[-1] == pytest.approx(expected, rel=1e-7, abs=1e-7)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), power=st.floats(1, 12), lift=st.floats(-0.5, 1), days=st.integers(1, 40)
)
# off by 1, 900 and 80,000,000 if the fifth cumulant is taken for a tenth of it, left out of the height, or altogether
@example(seed=5780, power=5.2, lift=0.74, days=19)
@example(seed=8580, power=11.9, lift=-0.09, days=10)
@example(seed=106, power=11.9, lift=0.96, days=35)
def test_estimate_by_cumulants__wherever_it_is_sure__is_close(
    seed: int, power: float, lift: float, days: int
) -> None:
    trials, successes = random_counts(seed, 10**power, days)
    successes[:, 1] = np.floor(np.minimum(successes[:, 1] * (1 + lift), trials[:, 1]))
    pair = pair_of(trials, successes, 1, 0, 1.5)

    estimate = estimate_by_cumulants(pair, np.arange(days))

    exact = log_bets(trials, successes, 0.0, 1.5)
    sure = ~np.isnan(estimate)
    assert np.abs(estimate - exact)[sure].max(initial=0) < 0.25


def test_estimate_by_cumulants__curvature_left_out_of_the_series__is_no_more_than_a_tenth() -> None:
    # by what the series leaves out of the height alone this would be close enough; it is off by 0.106
    pair = Pair(*map(np.array, ([8.74496887], [175.59475035], [-0.73894857])))

    (estimate,) = estimate_by_cumulants(pair, np.arange(1))

    exact = log_bets(
        np.array([[1.0, np.exp(pair.log_odds[0])]]), np.array([[*(pair.both - pair.own), *pair.own]]), 0.0
    )
    assert np.isnan(estimate) or abs(estimate - exact[-1]) <= 0.1


def test_estimate_by_cumulants__a_year_of_like_variants__is_sure() -> None:
    trials = np.full((365, 2), 1000.0)
    pair = pair_of(trials, trials * (0.1, 0.102), 1, 0, 1.0)

    assert not np.isnan(estimate_by_cumulants(pair, np.arange(365))).any()


def test_fifth_cumulant__of_any_chance__is_below_its_bound() -> None:
    p = np.linspace(0, 1, 100_001)
    v = p * (1 - p)

    assert np.abs(v * (1 - 2 * p) * (1 - 12 * v)).max() < FIFTH


def test_always_valid_lift__no_successes__says_nothing() -> None:
    answer = always_valid_lift(np.full((3, 2), 100.0), np.zeros((3, 2)), 0)

    assert answer.low.tolist() == [0, -1]
    assert answer.high[1] == pytest.approx(1e9)
    assert answer.p_value[1] == pytest.approx(1)
    assert np.isnan(answer.p_value[0])


def test_always_valid_lift__one_success_of_the_variant__has_the_closed_form() -> None:
    # equal trials: l(f) = ln f - ln(1 + f), and M(1) = 2 E[f / (1 + f)] = 1 by symmetry
    answer = always_valid_lift(np.full((1, 2), 100.0), np.array([[0.0, 1.0]]), 0)

    # f / (1 + f) = 1/2 * 1/20
    assert answer.low[1] == pytest.approx(1 / 39 - 1)
    assert answer.high[1] == pytest.approx(1e9)
    assert answer.p_value[1] == pytest.approx(1)


@pytest.mark.parametrize("size", [1000, 100_000])
def test_always_valid_lift__ends__are_where_the_bet_reaches_twenty(size: int) -> None:
    trials, successes = random_counts(3, size)

    answer = always_valid_lift(trials, successes, 0, 1.5)

    for end in (answer.low[1], answer.high[1]):
        assert log_bets(trials, successes, float(end), 1.5)[-1] == pytest.approx(np.log(20), abs=1e-6)


def test_always_valid_lift__p_value__is_the_least_so_far() -> None:
    trials = np.full((30, 2), 1000.0)
    successes = np.where((np.arange(30) < 15)[:, None], [50.0, 70.0], [70.0, 50.0])

    early, late = always_valid_lift(trials[:15], successes[:15], 0), always_valid_lift(trials, successes, 0)

    assert early.p_value[1] < 0.001
    assert late.p_value[1] == early.p_value[1]
    assert late.low[1] < 0 < late.high[1]


def test_always_valid_lift__days_of_one_variant_alone__change_nothing() -> None:
    trials, successes = random_counts(5, 2000)
    alone = np.array([[500.0, 0.0], [0.0, 700.0]]), np.array([[40.0, 0.0], [0.0, 30.0]])

    whole = always_valid_lift(np.concatenate([trials, alone[0]]), np.concatenate([successes, alone[1]]), 0)

    for got, expected in zip(whole, always_valid_lift(trials, successes, 0), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_always_valid_lift__no_days_together__says_nothing() -> None:
    answer = always_valid_lift(np.array([[100.0, 0.0]]), np.array([[5.0, 0.0]]), 0)

    assert (answer.low[1], answer.p_value[1]) == (-1, 1)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), power=st.floats(0, 12))
def test_always_valid_lift__any_counts__is_an_interval_around_the_ratio(seed: int, power: float) -> None:
    rng = np.random.default_rng(seed)
    trials = np.floor(10 ** rng.uniform(0, max(power, 0.1), (8, 3)))
    successes = np.floor(trials * rng.random((8, 3)) ** rng.choice([1, 10]))

    low, high, p = always_valid_lift(trials, successes, 1)

    others = [0, 2]
    assert (low[others] >= -1).all()
    assert (low[others] < high[others]).all()
    assert ((p[others] >= 0) & (p[others] <= 1)).all()
    assert (low[1], high[1]) == (0, 0)


@pytest.mark.parametrize("lift", [0.0, 0.15])
def test_log_bets__read_every_day_of_adaptive_experiments__rarely_exclude_the_truth(lift: float) -> None:
    rng = np.random.default_rng(11)
    wrong, runs, days = 0, 300, 40
    for _ in range(runs):
        trials, successes = np.zeros((days, 2)), np.zeros((days, 2))
        for day in range(days):
            # the share follows the data, and the level of the day has a trend
            ahead = successes[:, 1].sum() / max(trials[:, 1].sum(), 1) > successes[:, 0].sum() / max(
                trials[:, 0].sum(), 1
            )
            trials[day] = rng.multinomial(2000, [0.3, 0.7] if ahead else [0.7, 0.3])
            rate = 0.04 * (1 + day / 40) * np.array([1, 1 + lift])
            successes[day] = rng.binomial(trials[day].astype(int), rate)
        wrong += bool((log_bets(trials, successes, lift) >= np.log(20)).any())

    # at most 5% by theorem; the draw's own error is 1.3%
    assert wrong / runs <= 0.05


@pytest.mark.parametrize("lift", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("size", [20, 2000])
def test_always_valid_lift__long_history__misses_no_day_that_counts(lift: float, size: int) -> None:
    rng = np.random.default_rng([size, int(100 * lift)])
    trials = (1 + rng.poisson(size, (150, 2))).astype(np.float64)
    rates = np.array([0.05, 0.05 * (1 + lift)]) * rng.lognormal(0, 0.3, (150, 1))
    successes = rng.binomial(trials.astype(np.int64), rates.clip(0, 1)).astype(np.float64)

    answer = always_valid_lift(trials, successes, 0)

    highest = max(float(log_bets(trials, successes, 0.0).max()), 0.0)
    assert answer.p_value[1] == pytest.approx(np.exp(-highest), rel=1e-9)


@pytest.mark.parametrize("days", [1, 399, 400, 401, 1000, 9800])
def test_looks__of_a_long_history__are_few_and_the_last_day_is_among_them(days: int) -> None:
    found = looks(days)

    assert len(found) <= min(days, MOST_LOOKS + 1)
    assert found[-1] == days - 1
    # of the looks at a history twice as long each is one of this, so that what one has seen stays seen
    assert set(looks(2 * days)[:-1]) - {days - 1} <= {*found, *range(days, 2 * days)}


@pytest.mark.parametrize("variants", [2, 20, 21, 22, 100])
def test_looks__at_many_variants__are_bounded_together(variants: int) -> None:
    assert len(looks(365, variants)) * variants <= MOST_LOOKS_IN_ALL + variants
    assert (len(looks(365, variants)) == 365) == (variants <= 21)  # 8,000 are 380 for each of 21, 363 of 22


def test_always_valid_lift__some_of_many_variants__are_looked_at_as_among_all() -> None:
    rng = np.random.default_rng(6)
    trials = (1 + rng.poisson(300, (200, 50))).astype(np.float64)
    successes = rng.binomial(trials.astype(np.int64), 0.05).astype(np.float64)

    among_all = always_valid_lift(trials, successes, 0)
    alone = always_valid_lift(trials[:, [0, 7]], successes[:, [0, 7]], 0, of_all=50)

    assert (alone.low[1], alone.high[1], alone.p_value[1]) == (
        among_all.low[7], among_all.high[7], among_all.p_value[7],
    )  # fmt: skip


@pytest.mark.parametrize("of_values", [False, True])
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), gaps=st.floats(0, 0.9), days=st.integers(1, 60))
def test_always_valid_lift__variants_of_other_days__are_as_each_beside_the_control_alone(
    of_values: bool, seed: int, gaps: float, days: int
) -> None:
    rng = np.random.default_rng(seed)
    trials = (1 + rng.poisson(10 ** rng.uniform(0, 4), (days, 6))).astype(np.float64)
    trials[rng.random((days, 6)) < gaps] = 0
    joined = rng.integers(0, days + 1, 6)
    trials[np.arange(days)[:, None] < np.where(np.arange(6) > 3, joined, 0)] = 0
    rates = 0.05 * rng.lognormal(0, 0.5, (days, 6)).clip(0, 20)
    orders = rng.binomial(trials.astype(np.int64), rates).astype(np.float64)
    successes, squares = (30 * orders, 1200 * orders) if of_values else (orders, None)

    # 400 variants have 20 looks each
    together = always_valid_lift(trials, successes, 1, 1.3, squares, of_all=400)

    for variant in (0, 2, 3, 4, 5):
        both = [1, variant]
        own = None if squares is None else squares[:, both]
        alone = always_valid_lift(trials[:, both], successes[:, both], 0, 1.3, own, of_all=400)
        for got, expected in zip(together, alone, strict=True):
            assert got[variant] == pytest.approx(expected[1], rel=1e-9, abs=1e-9)


def test_always_valid_lift__more_days_than_looks__has_a_p_value_that_is_still_valid() -> None:
    rng = np.random.default_rng(5)
    trials = (1 + rng.poisson(300, (900, 2))).astype(np.float64)
    successes = rng.binomial(trials.astype(np.int64), [0.05, 0.055]).astype(np.float64)

    answer = always_valid_lift(trials, successes, 0)

    of_every_day = np.exp(-max(float(log_bets(trials, successes, 0.0).max()), 0.0))
    assert of_every_day <= answer.p_value[1] <= 3 * of_every_day
