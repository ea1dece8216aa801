"""The worth of a day's trials with levels drawn toward the pooled rate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation.engine.evidence.day_levels import drawn_levels, level_evidence


def test_level_evidence__simpsons_paradox__is_resolved() -> None:
    # B is 20% better on both days, but was served mostly on the bad one
    trials = np.array([[[9000.0, 1000.0], [1000.0, 9000.0]]])
    successes = np.array([[[900.0, 120.0], [50.0, 540.0]]])

    effective, kept = level_evidence(trials, successes)

    adjusted = successes.sum(axis=1) / effective
    assert adjusted[0, 1] / adjusted[0, 0] == pytest.approx(1.2, rel=2e-3)
    assert effective.sum() == pytest.approx(20_000)
    assert (kept < 0.6).all()


def test_level_evidence__constant_shares__changes_nothing() -> None:
    trials = np.tile([[[1000.0, 3000.0]]], (1, 5, 1))
    successes = np.tile([[[50.0, 210.0]]], (1, 5, 1))

    effective, kept = level_evidence(trials, successes)

    np.testing.assert_allclose(effective, [[5000, 15000]], rtol=1e-9)
    np.testing.assert_allclose(kept, 1, rtol=1e-9)


def test_level_evidence__newcomer_seen_on_a_day_without_success__keeps_its_trials() -> None:
    trials = np.array([[[5000.0, 5000.0, 0.0], [20_000.0, 20_000.0, 20_000.0]]])
    successes = np.array([[[5.0, 5.0, 0.0], [0.0, 0.0, 0.0]]])

    effective, _ = level_evidence(trials, successes)

    # the day's level is 1 / (60,000 + 1 / r), r = 10 / 70,000: a tenth of r, not nothing
    assert 1000 < effective[0, 2] < 20_000


def test_level_evidence__no_success_at_all__leaves_the_trials() -> None:
    effective, kept = level_evidence(np.full((1, 3, 2), 100.0), np.zeros((1, 3, 2)))

    assert effective.tolist() == [[300, 300]]
    assert kept.tolist() == [[1, 1]]


def test_level_evidence__variants_that_never_share_a_day__tell_nothing_about_each_other() -> None:
    trials, successes = np.array([[[1000.0, 0.0], [0.0, 1000.0]]]), np.array([[[50.0, 0.0], [0.0, 90.0]]])

    assert level_evidence(trials, successes).kept.tolist() == [[0, 0]]


def test_level_evidence__only_one_variant_with_data__keeps_all() -> None:
    effective, kept = level_evidence(np.array([[[1000.0, 0.0]]]), np.array([[[50.0, 0.0]]]))

    assert effective.tolist() == [[1000, 0]]
    assert kept.tolist() == [[1, 1]]


@given(seed=st.integers(0, 2**32 - 1), days=st.integers(1, 20), k=st.integers(1, 8))
def test_drawn_levels__any_counts__solve_their_equations(seed: int, days: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    trials = np.floor(10 ** rng.uniform(0, 6, (1, days, k))) * (
        rng.random((1, days, k)) < rng.choice([0.3, 1])
    )
    successes = np.minimum(
        np.floor(trials * rng.random(k) ** rng.choice([1, 5]) + rng.random(trials.shape)), trials
    )
    trials[0, 0, 0], successes[0, 0, 0] = 50, 3

    level, theta = drawn_levels(trials, successes)

    n, m, t = trials[0], level[0], theta[0]
    pooled = successes.sum() / trials.sum()
    np.testing.assert_allclose(m, (successes[0].sum(axis=1) + 1) / (n @ t + 1 / pooled), rtol=1e-9)
    wanted, exposed = successes[0].sum(axis=0), m @ n
    scale = (t * exposed).sum() / wanted.sum()
    np.testing.assert_allclose(t * exposed, wanted * scale, rtol=1e-6, atol=1e-9 * wanted.max())
    assert n.sum(axis=0) @ t == pytest.approx(n.sum())


@given(seed=st.integers(0, 2**32 - 1), days=st.integers(1, 20), k=st.integers(1, 8))
def test_level_evidence__any_counts__stays_in_range(seed: int, days: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    trials = np.floor(10 ** rng.uniform(0, 12, (1, days, k))) * (rng.random((1, days, k)) < 0.7)
    successes = np.floor(trials * rng.random((1, days, k)) ** rng.choice([1, 20]))

    effective, kept = level_evidence(trials, successes)

    assert np.isfinite(effective).all()
    assert (effective >= successes.sum(axis=1)).all()
    assert ((kept >= 0) & (kept <= 1)).all()
