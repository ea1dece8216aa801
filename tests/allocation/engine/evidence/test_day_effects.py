"""The worth of a day's trials when all rates move together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation.engine.evidence.day_effects import adjusted_evidence, fit_levels


def test_adjusted_evidence__simpsons_paradox__is_resolved() -> None:
    # B is 20% better on both days, but was served mostly on the bad one
    trials = np.array([[[9000.0, 1000.0], [1000.0, 9000.0]]])
    successes = np.array([[[900.0, 120.0], [50.0, 540.0]]])

    effective, kept = adjusted_evidence(trials, successes)

    pooled, adjusted = successes.sum(axis=1) / trials.sum(axis=1), successes.sum(axis=1) / effective
    assert pooled[0, 0] > pooled[0, 1]
    assert adjusted[0, 1] / adjusted[0, 0] == pytest.approx(1.2, rel=1e-6)
    assert effective.sum() == pytest.approx(20_000)
    assert (kept < 0.6).all()


@pytest.mark.parametrize("days", [1, 5])
def test_adjusted_evidence__constant_shares__changes_nothing(days: int) -> None:
    trials = np.tile([[[1000.0, 3000.0]]], (1, days, 1)) * np.arange(1.0, days + 1)[None, :, None]
    successes = np.floor(trials * np.array([0.05, 0.07]))

    effective, kept = adjusted_evidence(trials, successes)

    np.testing.assert_allclose(effective, trials.sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(kept, 1, rtol=1e-6)


def test_adjusted_evidence__variants_that_never_share_a_day__tell_nothing_about_each_other() -> None:
    trials = np.array([[[1000.0, 0.0], [0.0, 1000.0]]])
    successes = np.array([[[50.0, 0.0], [0.0, 90.0]]])

    assert adjusted_evidence(trials, successes).kept.tolist() == [[0, 0]]


def test_adjusted_evidence__only_one_variant_with_data__keeps_all() -> None:
    trials, successes = np.array([[[1000.0, 0.0]]]), np.array([[[50.0, 0.0]]])

    effective, kept = adjusted_evidence(trials, successes)

    assert kept.tolist() == [[1, 1]]
    assert effective[0, 0] == pytest.approx(1000)


def test_adjusted_evidence__day_without_successes__counts_for_nothing() -> None:
    trials = np.array([[[1000.0, 1000.0], [10.0, 5000.0]]])
    successes = np.array([[[50.0, 60.0], [0.0, 0.0]]])

    effective, _ = adjusted_evidence(trials, successes)

    assert effective[0, 0] == pytest.approx(effective[0, 1])


def test_adjusted_evidence__no_successes_at_all__leaves_no_effective_trials() -> None:
    effective, kept = adjusted_evidence(np.full((1, 3, 2), 100.0), np.zeros((1, 3, 2)))

    assert effective.tolist() == [[0, 0]]
    assert kept.tolist() == [[1, 1]]


def test_fit_levels__known_levels__are_found_up_to_scale() -> None:
    level, theta = np.array([1.0, 3.0, 0.5]), np.array([0.05, 0.06])
    trials = np.array([[1000.0, 9000.0], [5000.0, 500.0], [800.0, 800.0]])
    successes = trials * level[:, None] * theta

    found_level, found_theta = fit_levels(trials[None], successes[None])

    np.testing.assert_allclose(found_theta[0] / found_theta[0, 0], theta / theta[0], rtol=1e-6)
    np.testing.assert_allclose(found_level[0] / found_level[0, 0], level / level[0], rtol=1e-6)


@given(seed=st.integers(0, 2**32 - 1), days=st.integers(1, 20), k=st.integers(1, 8))
def test_adjusted_evidence__any_counts__stays_in_range(seed: int, days: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    trials = np.floor(10 ** rng.uniform(0, 12, (1, days, k))) * (rng.random((1, days, k)) < 0.7)
    successes = np.floor(trials * rng.random((1, days, k)) ** rng.choice([1, 20]))

    effective, kept = adjusted_evidence(trials, successes)

    assert np.isfinite(effective).all()
    assert (effective >= successes.sum(axis=1)).all()
    assert ((kept >= 0) & (kept <= 1)).all()
