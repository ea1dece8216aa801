"""How much more counts vary than independent trials would."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from allocation.engine.evidence.dispersion import dispersion
from allocation.engine.posterior.beta import Floats


def drawn(seed: int, rates: Floats | list[float], days: int = 60, copies: int = 1) -> tuple[Floats, Floats]:
    """``copies``: how often each visit is counted."""
    rng = np.random.default_rng(seed)
    trials = rng.poisson(2000, (days, np.shape(rates)[-1]))
    successes = rng.binomial(trials, rates)
    return copies * trials[None].astype(float), copies * successes[None].astype(float)


def test_dispersion__two_days_of_two_variants__is_the_chi_square_of_their_table() -> None:
    trials, successes = np.full((1, 2, 2), 1000.0), np.array([[[60.0, 30.0], [30.0, 60.0]]])

    # expected 45 in each cell, variance 45 (1 - 0.045): chi-square 4 * 225 / 42.975, over the median (1 - 2/9)^3
    ratio = 900 / 42.975 / (7 / 9) ** 3
    assert dispersion(trials, successes)[0] == pytest.approx((ratio + 30) / 31)


def test_dispersion__independent_trials__is_about_one() -> None:
    found = [dispersion(*drawn(seed, [0.05, 0.06, 0.05, 0.04]))[0] for seed in range(40)]

    assert np.mean(found) < 1.15
    assert max(found) < 1.6


@pytest.mark.parametrize("copies", [2, 3])
def test_dispersion__visits_counted_more_than_once__is_how_often(copies: int) -> None:
    found = [dispersion(*drawn(seed, [0.05, 0.06, 0.05, 0.04], copies=copies))[0] for seed in range(40)]

    # drawn toward 1 by 30 of about 207
    assert np.mean(found) == pytest.approx(1 + (copies - 1) * 0.85, rel=0.15)


def test_dispersion__rates_change_once__hardly_moves() -> None:
    rates = np.where((np.arange(60) < 30)[:, None], [0.03, 0.09], [0.09, 0.03])
    trials, successes = drawn(1, rates)

    steady = dispersion(trials[:, :30], successes[:, :30])[0]
    assert dispersion(trials, successes)[0] == pytest.approx(steady, abs=0.4)


def test_dispersion__too_few_successes__is_one() -> None:
    assert dispersion(np.full((1, 9, 3), 100.0), np.ones((1, 9, 3))).tolist() == [1]


@pytest.mark.parametrize("days", [0, 1])
def test_dispersion__no_two_days__is_one(days: int) -> None:
    assert dispersion(np.full((2, days, 3), 100.0), np.full((2, days, 3), 50.0)).tolist() == [1, 1]


@given(seed=st.integers(0, 2**32 - 1), days=st.integers(1, 15), k=st.integers(1, 6))
def test_dispersion__any_counts__is_finite_and_at_least_one(seed: int, days: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    trials = np.floor(10 ** rng.uniform(0, 12, (3, days, k))) * (rng.random((3, days, k)) < 0.7)
    successes = np.floor(trials * rng.random((3, days, k)) ** rng.choice([0, 1, 20]))

    phi = dispersion(trials, successes)

    assert np.isfinite(phi).all()
    assert (phi >= 1).all()
    alone = [dispersion(n[None], o[None])[0] for n, o in zip(trials, successes, strict=True)]
    np.testing.assert_allclose(phi, alone, rtol=1e-9)


def test_dispersion__median_of_the_corrected_chi_square__is_about_one() -> None:
    for k in range(1, 6):
        assert stats.chi2.median(k) / (k * (1 - 2 / (9 * k)) ** 3) == pytest.approx(1, abs=0.035)
