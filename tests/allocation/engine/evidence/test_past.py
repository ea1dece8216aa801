"""Regimes that are over: found from one look at the days as each would be found by itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation.engine.evidence.learned import Evidence, EvidenceSettings, evidence_of
from allocation.engine.evidence.past import Past, Regime
from allocation.engine.posterior.beta import Floats

NAMES = ("weights", "effective_trials", "alpha", "beta", "unit")


def random_past(seed: int) -> tuple[Floats, Floats]:
    """(T, K) of days whose rates are others every one to three weeks; silent days and variants, or none."""
    rng = np.random.default_rng(seed)
    days, k = int(rng.integers(1, 80)), int(rng.integers(1, 6))
    trials = rng.poisson(10 ** rng.uniform(1, 5), (days, k)).astype(float)
    trials *= rng.random((days, k)) < rng.choice([0.3, 0.8, 1.0])
    spell = np.arange(days) // int(rng.integers(7, 22))
    rate = 10 ** rng.uniform(-3, -0.7) * rng.lognormal(0, 0.4, (days, k))[spell]
    return trials, rng.binomial(trials.astype(int), rate.clip(0, 1)).astype(float)


def assert_same(found: Regime, alone: Evidence) -> None:
    for name in NAMES:
        np.testing.assert_allclose(
            getattr(found, name), getattr(alone, name), rtol=1e-8, atol=1e-8, err_msg=name
        )
    # the part that is kept of nothing may be any
    evidence, wanted = (one.evidence_kept * one.effective_trials for one in (found, alone))
    np.testing.assert_allclose(evidence, wanted, rtol=1e-8, atol=1e-8)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), memory=st.booleans(), day_adjustment=st.booleans())
def test_regime__days_that_vary_as_chance_allows__is_that_of_the_days_up_to_its_end(
    seed: int, memory: bool, day_adjustment: bool
) -> None:
    trials, successes = random_past(seed)
    own = EvidenceSettings(memory=memory, day_adjustment=day_adjustment, dispersion=False)
    past = Past.of(trials, successes, own)

    for end in {len(trials), len(trials) // 2 + 1, min(len(trials), 8)}:
        assert_same(past.regime(end), evidence_of(trials[:end], successes[:end], own))


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), value=st.booleans())
def test_regime__last_one__is_that_of_all_days_whatever_their_dispersion(seed: int, value: bool) -> None:
    trials, successes = random_past(seed)
    squares = 30.0 * 40.0 * successes if value else None
    own, sums = EvidenceSettings(), 30.0 * successes if value else successes

    found = Past.of(trials, sums, own, squares).regime(len(trials))

    assert_same(found, evidence_of(trials, sums, own, squares))


def test_regime__no_trials_at_all__says_nothing() -> None:
    nothing = np.zeros((5, 2))

    assert_same(
        Past.of(nothing, nothing, EvidenceSettings()).regime(3),
        evidence_of(nothing[:3], nothing[:3], EvidenceSettings()),
    )


def test_regime__noisy_days_later__lessen_what_an_earlier_regime_says() -> None:
    # twenty days that are all alike, then sixty on which counts vary six times as much as chance allows
    calm, rng = np.full((20, 3), 2000.0), np.random.default_rng(2)
    noisy = np.clip(rng.normal(100, np.sqrt(6 * 100), (60, 3)).round(), 1, None)
    trials, successes = np.full((80, 3), 2000.0), np.concatenate([calm / 20, noisy])

    found = Past.of(trials, successes, EvidenceSettings()).regime(20)

    alone = evidence_of(calm, calm / 20, EvidenceSettings())
    assert alone.evidence_kept == pytest.approx(1)
    assert found.evidence_kept.max() < 0.5
