"""From counts to posteriors: the prior, the switches, and what must change nothing."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation.engine.evidence.learned import (
    Evidence,
    EvidenceRules,
    EvidenceSettings,
    evidence_of,
    evidence_of_many,
)
from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.groups import contest_of_groups

SEED = st.integers(0, 2**32 - 1)
ALL_OFF = EvidenceSettings(memory=False, dispersion=False, day_adjustment=False)
NAMES = ("effective_trials", "successes", "evidence_kept", "alpha", "beta")


def random_counts(seed: int, k: int | None = None) -> tuple[Floats, Floats]:
    """(T, K) of a month or less: shares that move, a change of rates, silent days and variants, or none of these."""
    rng = np.random.default_rng(seed)
    days, k = int(rng.integers(1, 31)), k or int(rng.integers(1, 6))
    share = rng.dirichlet(np.ones(k), days if rng.random() < 0.5 else 1)
    trials = rng.poisson(10 ** rng.uniform(1, 5) * share * np.ones((days, 1))).astype(float)
    trials *= rng.random((days, k)) < rng.choice([0.7, 1.0])
    rate = 10 ** rng.uniform(-4, -0.5) * rng.lognormal(0, 0.3, k) * rng.lognormal(0, 0.3, (days, 1))
    if rng.random() < 0.3:
        rate[days // 2 :] = rate[days // 2 :, ::-1]
    successes = rng.binomial(trials.astype(int), rate.clip(0, 1))
    return trials, successes.astype(np.float64)


def best_of(evidence: Evidence) -> Floats:
    present = np.ones((1, len(evidence.alpha)), dtype=bool)
    contest = contest_of_groups(evidence.group_alpha[None], evidence.group_beta[None], present)
    return np.asarray(contest.probability_best[0])


def test_evidence_of__everything_off__is_the_pooled_counts() -> None:
    trials, successes = np.array([[100.0, 200.0], [300.0, 100.0]]), np.array([[9.0, 10.0], [21.0, 10.0]])

    evidence = evidence_of(trials, successes, replace(ALL_OFF, alpha_prior=2.0, beta_prior=5.0))

    assert evidence.alpha.tolist() == [32, 22]
    assert evidence.beta.tolist() == [375, 285]
    assert evidence.effective_trials.tolist() == [400, 300]
    assert evidence.evidence_kept.tolist() == [1, 1]
    assert evidence.phi == 1
    assert evidence.weights.tolist() == [1, 1]
    assert evidence.group_alpha.tolist() == [[32, 22]] * 5
    assert evidence.change_start == -1


def test_evidence_of__blank_beta_prior__is_centred_on_the_experiments_own_rate() -> None:
    trials, successes = np.array([[1000.0, 3000.0]]), np.array([[10.0, 50.0]])

    evidence = evidence_of(trials, successes, replace(ALL_OFF, alpha_prior=2.0))

    # pooled 60 of 4000: 2 successes at 1.5% are 2 / 0.015 trials
    prior = 2 / 0.015 - 2
    assert evidence.alpha.tolist() == [12, 52]
    assert evidence.beta == pytest.approx([prior + 990, prior + 2950])


@pytest.mark.parametrize(("successes", "rate"), [(0.0, 1 / 202), (200.0, 201 / 202)])
def test_evidence_of__every_trial_alike__the_prior_is_as_if_one_more_had_differed(
    successes: float, rate: float
) -> None:
    evidence = evidence_of(np.array([[200.0, 0.0]]), np.array([[successes, 0.0]]), ALL_OFF)

    assert evidence.beta[1] == pytest.approx(1 / rate - 1)


def test_evidence_of__newcomer_with_ten_impressions__is_not_thought_the_best() -> None:
    # case 20a: click-through rates of 0.1%; with Beta(1, 1) the newcomer was the best for certain
    trials = np.array([[10_000.0, 10_000.0, 0.0]] * 14 + [[10_000.0, 10_000.0, 10.0]])
    successes = np.array([[10.0, 11.0, 0.0]] * 15)

    evidence = evidence_of(trials, successes, EvidenceSettings())

    assert best_of(evidence)[2] < 0.5
    assert evidence.alpha[2] / (evidence.alpha[2] + evidence.beta[2]) == pytest.approx(0.001, rel=0.1)


def test_evidence_of__dispersion__divides_the_evidence() -> None:
    rng = np.random.default_rng(5)
    trials = rng.poisson(2000, (60, 3)).astype(float)
    successes = rng.binomial(trials.astype(int), 0.05).astype(float)

    twice = evidence_of(2 * trials, 2 * successes, EvidenceSettings())

    assert 1.5 < twice.phi < 2.5
    np.testing.assert_allclose(twice.evidence_kept, 1 / twice.phi, rtol=0.01)
    assert evidence_of(2 * trials, 2 * successes, EvidenceSettings(dispersion=False)).phi == 1


def test_evidence_of__rates_swapped__the_present_decides() -> None:
    trials = np.full((60, 2), 2000.0)
    successes = np.where((np.arange(60) < 40)[:, None], [80.0, 120.0], [120.0, 80.0])

    with_memory = evidence_of(trials, successes, EvidenceSettings())
    without = evidence_of(trials, successes, EvidenceSettings(memory=False))

    assert best_of(with_memory)[0] > 0.999
    assert best_of(without)[0] < 0.001
    assert with_memory.change_start == 40
    assert with_memory.effective_trials.sum() == pytest.approx(80_000, rel=0.01)


def test_evidence_of__no_days__is_the_prior() -> None:
    evidence = evidence_of(np.zeros((0, 2)), np.zeros((0, 2)), EvidenceSettings())

    assert evidence.alpha.tolist() == [1, 1]
    assert evidence.beta.tolist() == [1, 1]


def test_evidence_of_many__no_experiments__is_empty() -> None:
    nothing = np.zeros((0, 5, 2))

    assert evidence_of_many(nothing, nothing, EvidenceRules.of([])).alpha.shape == (0, 2)


@settings(deadline=None)
@given(seed=SEED)
def test_evidence_of_many__any_batch__answers_as_one_by_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    chosen = [
        EvidenceSettings(
            memory=bool(rng.integers(2)),
            dispersion=bool(rng.integers(2)),
            day_adjustment=bool(rng.integers(2)),
            beta_prior=3.0 if rng.random() < 0.5 else None,
        )
        for _ in range(5)
    ]
    counts = [random_counts(int(rng.integers(2**32)), 3) for _ in range(5)]
    days = max(len(n) for n, _ in counts)
    padded = [
        np.stack([np.pad(part[i], ((0, days - len(part[i])), (0, 0))) for part in counts]) for i in (0, 1)
    ]

    together = evidence_of_many(padded[0], padded[1], EvidenceRules.of(chosen))

    for place, ((trials, successes), own) in enumerate(zip(counts, chosen, strict=True)):
        alone = evidence_of(trials, successes, own)
        for name in (*NAMES, "group_alpha", "group_beta", "phi", "change_start"):
            np.testing.assert_allclose(
                getattr(together, name)[place], getattr(alone, name), rtol=1e-9, atol=1e-12
            )


@settings(deadline=None)
@given(seed=SEED)
def test_evidence_of__variant_without_data__changes_no_other_variant(seed: int) -> None:
    trials, successes = random_counts(seed)
    place = int(np.random.default_rng(seed).integers(trials.shape[1] + 1))

    before = evidence_of(trials, successes, EvidenceSettings())
    after = evidence_of(
        np.insert(trials, place, 0, axis=1), np.insert(successes, place, 0, axis=1), EvidenceSettings()
    )

    for name in NAMES:
        np.testing.assert_allclose(
            np.delete(getattr(after, name), place), getattr(before, name), rtol=1e-9, atol=1e-12
        )
    np.testing.assert_allclose(after.weights, before.weights, rtol=1e-9, atol=1e-12)
    assert after.effective_trials[place] == 0


@settings(deadline=None)
@given(seed=SEED)
def test_evidence_of__days_without_trials__change_nothing(seed: int) -> None:
    trials, successes = random_counts(seed)
    places = np.random.default_rng(seed).integers(0, len(trials) + 1, 3)

    before = evidence_of(trials, successes, EvidenceSettings())
    after = evidence_of(
        np.insert(trials, places, 0, axis=0), np.insert(successes, places, 0, axis=0), EvidenceSettings()
    )

    assert after.phi == pytest.approx(float(before.phi), rel=1e-9)
    for name in (*NAMES, "group_alpha", "group_beta"):
        np.testing.assert_allclose(getattr(after, name), getattr(before, name), rtol=1e-9, atol=1e-12)


@settings(deadline=None)
@given(seed=SEED, k=st.integers(2, 5))
def test_evidence_of__day_cut_in_two_alike__changes_hardly_anything(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    trials = 2.0 * rng.poisson(1000 * rng.dirichlet(np.full(k, 5), 25)).astype(np.float64)
    halved = rng.binomial((trials / 2).astype(int), 0.05 * rng.lognormal(0, 0.1, k))
    successes = 2 * halved.astype(np.float64)
    day = int(rng.integers(0, 15))
    own = EvidenceSettings(dispersion=False)

    def cut(counts: Floats) -> Floats:
        return np.insert(
            np.where(np.arange(25)[:, None] == day, counts / 2, counts), day, counts[day] / 2, axis=0
        )

    whole, halves = evidence_of(trials, successes, own), evidence_of(cut(trials), cut(successes), own)

    np.testing.assert_allclose(halves.effective_trials, whole.effective_trials, rtol=0.1)
    np.testing.assert_allclose(best_of(halves), best_of(whole), atol=0.05)


@settings(deadline=None)
@given(seed=SEED)
def test_evidence_of__other_order_of_variants__gives_the_same_numbers(seed: int) -> None:
    trials, successes = random_counts(seed)
    order = np.random.default_rng(seed).permutation(trials.shape[1])

    one = evidence_of(trials, successes, EvidenceSettings())
    other = evidence_of(trials[:, order], successes[:, order], EvidenceSettings())

    for name in NAMES:
        np.testing.assert_allclose(getattr(other, name), getattr(one, name)[order], rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(best_of(other), best_of(one)[order], atol=1e-8)


@settings(deadline=None)
@given(seed=SEED)
def test_evidence_of__counts_up_to_a_trillion__stay_in_range(seed: int) -> None:
    rng = np.random.default_rng(seed)
    trials = np.floor(10 ** rng.uniform(0, 12, (20, 4))) * (rng.random((20, 4)) < 0.7)
    successes = np.floor(trials * rng.random((20, 4)) ** rng.choice([0, 1, 20]))

    evidence = evidence_of(trials, successes, EvidenceSettings())

    assert all(np.isfinite(getattr(evidence, name)).all() for name in NAMES)
    assert (evidence.alpha > 0).all()
    assert (evidence.beta > 0).all()
    assert ((evidence.evidence_kept >= 0) & (evidence.evidence_kept <= 1)).all()


def test_evidence_of__every_trial_a_success__has_no_failure_but_the_priors() -> None:
    """Sums of 10^10 counts err by more than a small prior: what is left of their difference is no failure."""
    rng = np.random.default_rng(5)
    trials = rng.integers(10**9, 10**11, (17, 4)) * rng.uniform(0.1, 1, (17, 4))

    found = evidence_of(trials, trials, EvidenceSettings(beta_prior=1e-3))

    assert found.beta.tolist() == [1e-3] * 4
    assert np.unique(found.group_beta).tolist() == [1e-3]
