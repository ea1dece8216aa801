"""Regimes that are over: found from one look at the days as each would be found by itself."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from allocation.engine.evidence.learned import (
    Counted,
    Evidence,
    EvidenceRules,
    EvidenceSettings,
    evidence_of,
    information_of,
)
from allocation.engine.evidence.memory import day_weights, regime_starts
from allocation.engine.evidence.past import Past, Regime
from allocation.engine.posterior.beta import Floats

# The part of a day's trials that past.py leaves out at most.
LEFT_OUT = 1e-12


def random_past(seed: int) -> tuple[Floats, Floats]:
    """(T, K) of days whose rates are others every one to three weeks; silent days and variants, or none."""
    rng = np.random.default_rng(seed)
    days, k = int(rng.integers(1, 80)), int(rng.integers(1, 6))
    trials = rng.poisson(10 ** rng.uniform(1, 5), (days, k)).astype(float)
    trials *= rng.random((days, k)) < rng.choice([0.3, 0.8, 1.0])
    spell = np.arange(days) // int(rng.integers(7, 22))
    rate = 10 ** rng.uniform(-3, -0.7) * rng.lognormal(0, 0.4, (days, k))[spell]
    return trials, rng.binomial(trials.astype(int), rate.clip(0, 1)).astype(float)


def regime_of(found: Evidence) -> Regime:
    return Regime(*(getattr(found, name) for name in Regime._fields))


def assert_same(found: Regime, wanted: Regime, trials: Floats, spread: Floats | float = 1.0) -> None:
    """Compare regimes that are found in two ways from these trials; ``spread`` of the values, 1 of counts.

    Days that count for at most 1e-12 are left out in one of them. Such a day's level is drawn to the pooled rate, so
    that its trials count as they are: all of them together, and what they move between the others, are no more than
    1e-12 of all trials. The evidence is no further apart, nor, in trials of a visitor each, alpha, beta and orders.
    """
    most, in_trials = LEFT_OUT * trials.sum(), wanted.unit / spread
    for name, at_most, scale in (
        ("weights", 1e-8, 1),
        ("unit", 0, 1),
        ("effective_trials", most, 1),
        ("alpha", most, in_trials),
        ("beta", most, in_trials),
        ("effective_orders", most, in_trials),
    ):
        ours, theirs = (getattr(one, name) / scale for one in (found, wanted))
        np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=at_most, err_msg=name)
    # the part that is kept of nothing may be any
    ours, theirs = (one.evidence_kept * one.effective_trials for one in (found, wanted))
    np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=most)


def found_alone(trials: Floats, values: Floats, squares: Floats | None, end: int) -> Regime:
    """Find the regime that ends before a day step by step: units and dispersion are those of all days."""
    several = None if squares is None else squares[None]
    counted = Counted.of(trials[None], values[None], EvidenceRules.of([EvidenceSettings()]), several)
    n, o, phi = counted.trials[:, :end], counted.successes[:, :end], counted.phi[:, None, None]
    weights = day_weights(regime_starts(n / phi, o / phi))
    known = counted.known(information_of(n, o, weights[:, None], counted.rules))
    return Regime(
        weights=weights[0],
        effective_trials=counted.units.trials(known.effective_trials[:, 0])[0],
        evidence_kept=known.kept[0, 0],
        alpha=known.alpha[0, 0],
        beta=known.beta[0, 0],
        unit=float(counted.units.unit[0]),
        effective_orders=counted.units.orders(known.own[:, 0] * known.successes[:, 0])[0],
    )


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), memory=st.booleans(), day_adjustment=st.booleans())
def test_regime__days_that_vary_as_chance_allows__is_that_of_the_days_up_to_its_end(
    seed: int, memory: bool, day_adjustment: bool
) -> None:
    trials, successes = random_past(seed)
    own = EvidenceSettings(memory=memory, day_adjustment=day_adjustment, dispersion=False)
    past = Past.of(trials, successes, own)

    for end in {len(trials), len(trials) // 2 + 1, min(len(trials), 8)}:
        alone = evidence_of(trials[:end], successes[:end], own)
        assert_same(past.regime(end), regime_of(alone), trials[:end])


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), value=st.booleans())
@example(
    seed=840000526, value=True
)  # a variant that only days before the regime have, which count for almost nothing
def test_regime__last_one__is_that_of_all_days_whatever_their_dispersion(seed: int, value: bool) -> None:
    trials, successes = random_past(seed)
    squares = 30.0 * 40.0 * successes if value else None
    own, sums = EvidenceSettings(), 30.0 * successes if value else successes

    found = Past.of(trials, sums, own, squares).regime(len(trials))

    alone = evidence_of(trials, sums, own, squares)
    assert_same(found, regime_of(alone), trials, alone.spread)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), value=st.booleans())
def test_regime__each_one__is_found_step_by_step_from_the_days_up_to_its_end(seed: int, value: bool) -> None:
    trials, successes = random_past(seed)
    # orders are worth ten times as much in the second half
    worth = np.where(np.arange(len(trials)) < len(trials) / 2, 30.0, 300.0)[:, None]
    squares, sums = (worth * 1.5 * worth * successes, worth * successes) if value else (None, successes)
    spread = evidence_of(trials, sums, EvidenceSettings(), squares).spread
    past, end = Past.of(trials, sums, EvidenceSettings(), squares), len(trials)

    while end:
        found = past.regime(end)
        assert_same(found, found_alone(trials, sums, squares, end), trials[:end], spread)
        end = int(np.argmax(found.weights >= 0.5))


def test_regime__no_trials_at_all__says_nothing() -> None:
    nothing = np.zeros((5, 2))

    found = Past.of(nothing, nothing, EvidenceSettings()).regime(3)

    assert_same(found, regime_of(evidence_of(nothing[:3], nothing[:3], EvidenceSettings())), nothing)


def test_regime__noisy_days_later__lessen_what_an_earlier_regime_says() -> None:
    # twenty days that are all alike, then sixty on which counts vary six times as much as chance allows
    calm, rng = np.full((20, 3), 2000.0), np.random.default_rng(2)
    noisy = np.clip(rng.normal(100, np.sqrt(6 * 100), (60, 3)).round(), 1, None)
    trials, successes = np.full((80, 3), 2000.0), np.concatenate([calm / 20, noisy])

    found = Past.of(trials, successes, EvidenceSettings()).regime(20)

    alone = evidence_of(calm, calm / 20, EvidenceSettings())
    assert alone.evidence_kept == pytest.approx(1)
    assert found.evidence_kept.max() < 0.5
