"""Which days belong to the present."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from allocation.engine.evidence.day_worth import log_worth
from allocation.engine.evidence.log_gamma import LEAST, remainder
from allocation.engine.evidence.memory import (
    GROUPS,
    change_found,
    day_weights,
    group_weights,
    regime_starts,
)
from allocation.engine.posterior.beta import Floats

SEED = st.integers(0, 2**32 - 1)


def experiment(
    rng: np.random.Generator, rates: Floats, days: int, daily: int = 1000
) -> tuple[Floats, Floats]:
    """(1, T, K); ``rates`` (K,) or (T, K)."""
    rates = np.broadcast_to(rates, (days, np.shape(rates)[-1]))
    trials = rng.poisson(daily, rates.shape)
    return trials[None].astype(float), rng.binomial(trials, rates)[None].astype(float)


def test_remainder__large_arguments__completes_stirlings_formula() -> None:
    x = np.geomspace(LEAST, 1e4, 50)

    stirling = (x - 0.5) * np.log(x) - x + np.log(2 * np.pi) / 2

    np.testing.assert_allclose(stirling + remainder(x), special.gammaln(x), rtol=1e-14)


def test_log_worth__one_day__is_the_ratio_of_negative_binomials() -> None:
    """Day 2 under the starts 0 and 1, against scipy's negative binomials."""
    trials, successes = (
        np.array([[[800, 200], [900, 300], [500, 400.0]]]),
        np.array([[[40, 12], [50, 20], [30, 31.0]]]),
    )

    def ratio(start: int) -> float:
        a, b = np.full(2, 30.0), np.full(2, 30.0)
        for n, o in zip(trials[0, start:2], successes[0, start:2], strict=True):
            a, b = a + o, b + n * o.sum() / (n * a / b).sum()
        n, o = trials[0, 2], successes[0, 2]
        q = n * o.sum() / (n * a / b).sum()
        mean: Floats = q * a / b
        k = mean.sum() ** 2 / (mean**2 / a).sum()
        apart = np.sum(stats.nbinom.logpmf(o, a, b / (b + q)))
        return float(apart - stats.nbinom.logpmf(o.sum(), k, k / (k + o.sum())))

    worth = log_worth(trials, successes)[0, -4:-1]

    assert worth[0] - worth[1] == pytest.approx(ratio(0) - ratio(1), abs=1e-10)
    assert worth[1] - worth[2] == pytest.approx(ratio(1) - ratio(2), abs=1e-10)


def test_regime_starts__no_successes__are_as_likely_as_a_change_on_any_day() -> None:
    starts = regime_starts(np.full((1, 10, 2), 500.0), np.zeros((1, 10, 2)))[0]

    stayed = 1 - 1 / 300
    assert starts[0] == pytest.approx(stayed**9)
    assert starts[1] == pytest.approx(stayed**8 / 300)
    # seven days left: the start stands for itself and the six younger ones
    assert starts[3] == pytest.approx(sum(stayed**left for left in range(7)) / 300)
    assert starts[4:].tolist() == [0] * 6


@pytest.mark.parametrize("days", [1, 3, 7])
def test_regime_starts__a_week_or_less__is_one_regime(days: int) -> None:
    trials, successes = experiment(np.random.default_rng(1), np.array([0.05, 0.3]), days)

    np.testing.assert_allclose(regime_starts(trials, successes)[0], np.eye(days)[0], atol=1e-12)


def test_regime_starts__rates_that_stay__keep_every_day() -> None:
    trials, successes = experiment(np.random.default_rng(1), np.array([0.05, 0.06, 0.05]), 60)

    assert day_weights(regime_starts(trials, successes))[0, 0] > 0.9


def test_regime_starts__level_of_all_rates_moves__keep_every_day() -> None:
    rates = np.array([0.05, 0.06]) * np.where(np.arange(60) % 7 < 5, 1, 3)[:, None]
    trials, successes = experiment(np.random.default_rng(1), rates, 60)

    assert day_weights(regime_starts(trials, successes))[0, 0] > 0.9


def test_regime_starts__rates_swapped__forget_the_days_before() -> None:
    rates = np.where((np.arange(60) < 40)[:, None], [0.05, 0.10], [0.10, 0.05])
    trials, successes = experiment(np.random.default_rng(1), rates, 60)

    starts = regime_starts(trials, successes)
    change = change_found(starts, np.ones((1, 60), dtype=bool))

    assert starts[0].argmax() == 40
    assert day_weights(starts)[0, 39] < 1e-6
    assert change.start.tolist() == [40]
    assert change.probability[0] > 0.99


@pytest.mark.parametrize(("start", "found"), [(6, False), (7, False), (31, False), (32, True), (53, True)])
def test_change_found__only_in_the_last_four_weeks_and_after_the_first(start: int, found: bool) -> None:
    starts = np.zeros((1, 60))
    starts[0, start], starts[0, 0] = 0.95, 0.05

    assert change_found(starts, np.ones((1, 60), dtype=bool)).start.tolist() == [start if found else -1]


def test_change_found__young_experiment__not_in_its_first_week() -> None:
    starts = np.zeros((2, 20))
    starts[0, 6] = starts[1, 7] = 1

    assert change_found(starts, np.ones((2, 20), dtype=bool)).start.tolist() == [-1, 7]


def test_change_found__padded_with_days_without_trials__counts_those_with() -> None:
    starts, seen = np.zeros((1, 90)), np.arange(90)[None] < 40
    starts[0, 15] = 1

    assert change_found(starts, seen).start.tolist() == [15]


@given(seed=SEED, days=st.integers(1, 40))
def test_group_weights__any_starts__average_to_the_days_weights(seed: int, days: int) -> None:
    rng = np.random.default_rng(seed)
    starts = rng.dirichlet(np.full(days, rng.choice([0.01, 1.0])), 3)

    groups = group_weights(starts)

    assert groups.shape == (3, GROUPS, days)
    np.testing.assert_allclose(groups.mean(axis=1), day_weights(starts), atol=1e-12)
    np.testing.assert_allclose(groups[..., -1], 1, atol=1e-9)
    assert (np.diff(groups, axis=-1) >= 0).all()


def test_group_weights__one_start__are_all_the_same() -> None:
    starts = np.array([[0.0, 1.0, 0.0]])

    assert group_weights(starts).tolist() == [[[0, 1, 1]] * GROUPS]


@given(seed=SEED)
def test_regime_starts__ragged_batch__answers_as_one_by_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    trials = np.floor(10 ** rng.uniform(0, 5, (9, 25, 3))) * (rng.random((9, 25, 3)) < 0.8)
    trials *= np.arange(25)[None, :, None] < rng.integers(0, 26, 9)[:, None, None]
    successes = rng.binomial(trials.astype(int), 0.05).astype(float)

    together = regime_starts(trials, successes)

    alone = [regime_starts(n[None], o[None])[0] for n, o in zip(trials, successes, strict=True)]
    np.testing.assert_allclose(together, alone, atol=1e-12)
    np.testing.assert_allclose(together.sum(axis=1), 1)


@given(seed=SEED)
def test_regime_starts__counts_up_to_a_trillion__are_finite(seed: int) -> None:
    rng = np.random.default_rng(seed)
    trials = np.floor(10 ** rng.uniform(0, 12, (1, 20, 4)))
    successes = np.floor(trials * rng.random((1, 20, 4)) ** rng.choice([1, 20]))

    starts = regime_starts(trials, successes)

    assert np.isfinite(starts).all()
    assert starts.sum() == pytest.approx(1)
