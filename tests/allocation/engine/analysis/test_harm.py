"""A bet that a variant's rate is more than a part below the control's."""

from math import exp

import numpy as np
import pytest
from scipy import integrate, stats

from allocation.engine.analysis.always_valid_values import Pair
from allocation.engine.analysis.harm import harms, log_harm, log_harm_of_values
from allocation.engine.posterior.beta import Floats
from tests.allocation.engine.analysis.test_always_valid import log_likelihood, normal, random_counts

TWENTY = np.log(20)


def log_bet_by_scipy(edge: float, trials: Floats, successes: Floats, phi: float) -> float:
    """ln M, by quad."""

    here = log_likelihood(edge, trials, successes, phi)

    def ratio(s: float) -> float:
        moved = log_likelihood(edge - s, trials, successes, phi) - here
        return exp(moved) * 2 * normal(s)

    grid = np.linspace(0, 1.5, 301)
    mode = float(grid[np.argmax([ratio(point) for point in grid])])
    points = sorted({max(mode + d, 1e-6) for d in (-0.3, -0.1, -0.03, -0.01, 0, 0.001, 0.01, 0.03, 0.1, 0.3)})
    return float(np.log(integrate.quad(ratio, 0, 2, points=points, limit=400, epsabs=0)[0]))


@pytest.mark.parametrize("size", [30, 1000, 100_000])
@pytest.mark.parametrize("phi", [1.0, 2.5])
@pytest.mark.parametrize("reversed_columns", [False, True])
def test_log_harm__any_counts__agrees_with_scipy(size: int, phi: float, reversed_columns: bool) -> None:
    # the second of random_counts is better by a fifth; reversed, it is worse
    trials, successes = random_counts(size, size)
    if reversed_columns:
        trials, successes = trials[:, ::-1], successes[:, ::-1]

    for max_fall in (0.05, 0.3):
        expected = log_bet_by_scipy(float(np.log1p(-max_fall)), trials, successes, phi)
        found = log_harm(trials, successes, 1, 0, max_fall, phi)[-1]
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_log_harm__no_successes__stakes_nothing_and_wins_nothing() -> None:
    found = log_harm(np.full((3, 2), 100.0), np.zeros((3, 2)), 1, 0, 0.05)

    assert found == pytest.approx([0, 0, 0], abs=1e-9)


def test_log_harm__last_days__are_the_end_of_all_days() -> None:
    trials, successes = random_counts(4, 2000)

    every = log_harm(trials, successes, 0, 1, 0.05, 1.2)

    assert log_harm(trials, successes, 0, 1, 0.05, 1.2, last=2) == pytest.approx(every[-2:])


def test_log_harm__days_on_which_one_has_no_trials__count_for_nothing() -> None:
    trials, successes = np.full((3, 2), 1000.0), np.full((3, 2), 50.0)
    trials[1, 1] = successes[1, 1] = 0

    found = log_harm(trials, successes, 1, 0, 0.05)

    assert found == pytest.approx(log_harm(trials[[0, 2]], successes[[0, 2]], 1, 0, 0.05))


@pytest.mark.parametrize(
    ("bets", "expected"),
    [([3.1, 3.1], True), ([0.0, 3.1], False), ([3.1, 2.9], False), ([3.1], False), ([], False)],
)
def test_harms__needs_two_days_running_at_twenty(bets: list[float], expected: bool) -> None:
    # ln 20 is 2.996
    assert harms(np.array(bets)) is expected


def passed_within(days: int, ratio: float, runs: int, seed: int) -> float:
    """How many of ``runs`` experiments of 1,000 visitors a day and variant are stopped at x = 5%."""
    rng = np.random.default_rng(seed)
    trials = np.full((days, 2), 1000.0)
    stopped = 0
    for _ in range(runs):
        successes = rng.binomial(1000, [0.05, 0.05 * ratio], (days, 2)).astype(np.float64)
        bets = log_harm(trials, successes, 1, 0, 0.05)
        stopped += bool(((bets[1:] >= TWENTY) & (bets[:-1] >= TWENTY)).any())
    return stopped / runs


def test_log_harm__a_fall_as_large_as_allowed__seldom_passes() -> None:
    # at most 5%, give or take two standard errors
    assert passed_within(60, 0.95, 150, 1) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 150)


def test_log_harm__no_harm__almost_never_passes() -> None:
    assert passed_within(60, 1.0, 100, 2) <= 0.02


def test_log_harm__a_fifth_less__passes_within_thirty_days() -> None:
    assert passed_within(30, 0.8, 100, 3) >= 0.84


def orders(rng: np.random.Generator, days: int, rates: list[float]) -> tuple[Floats, Floats, Floats]:
    """Log-normal orders of sigma 0.8 from 1,000 visitors a day and variant."""
    bought = rng.binomial(1000, rates, (days, 2))
    worth = [[rng.lognormal(3, 0.8, n) for n in row] for row in bought]
    values = np.array([[float(w.sum()) for w in row] for row in worth])
    squares = np.array([[float((w * w).sum()) for w in row] for row in worth])
    return np.full((days, 2), 1000.0), values, squares


@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.0])
def test_log_harm_of_values__mixture__agrees_with_quadrature(ratio: float) -> None:
    trials, values, squares = orders(np.random.default_rng(5), 10, [0.05, 0.05 * ratio])

    found = log_harm_of_values(trials, values, squares, 1, 0, 0.05)[-1]

    pair = Pair.of(trials, values, squares, 1, 0, 1.0)
    score, variance = pair.sums(float(np.log(0.95)))
    won = integrate.quad(
        lambda g: np.exp(-g * score - g * g * variance / 2) * 2 * stats.norm.pdf(g, 0, 0.2), 0, 2, limit=200
    )[0]
    assert found == pytest.approx(np.log(won), rel=1e-6)


def test_log_harm_of_values__far_from_harm__is_finite() -> None:
    trials = np.full((2, 2), 1e6)
    values, squares = np.array([[1e3, 9e5]] * 2), np.array([[1e3, 9e5]] * 2)

    assert np.isfinite(log_harm_of_values(trials, values, squares, 1, 0, 0.05)).all()


@pytest.mark.parametrize(
    ("ratio", "days", "least", "most"), [(1.0, 30, 0.0, 0.05), (0.95, 30, 0.0, 0.1), (0.6, 30, 0.85, 1.0)]
)
def test_log_harm_of_values__orders__stop_harm_and_seldom_anything_else(
    ratio: float, days: int, least: float, most: float
) -> None:
    rng, runs, stopped = np.random.default_rng(6), 40, 0
    for _ in range(runs):
        bets = log_harm_of_values(*orders(rng, days, [0.05, 0.05 * ratio]), 1, 0, 0.05)
        stopped += bool(((bets[1:] >= TWENTY) & (bets[:-1] >= TWENTY)).any())

    assert least <= stopped / runs <= most
