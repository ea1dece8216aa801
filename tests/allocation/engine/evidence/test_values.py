"""From sums of values to posteriors: the spread, the Gamma behind the Beta, and what must change nothing."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from allocation.engine.evidence.learned import (
    Evidence,
    EvidenceRules,
    EvidenceSettings,
    evidence_of,
    evidence_of_many,
)
from allocation.engine.evidence.values import day_variances, largest_parts, units_of
from allocation.engine.lab.orders import OrderValues, draw_values
from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.groups import contest_of_groups
from allocation.engine.posterior.quantiles import quantiles

SEED = st.integers(0, 2**32 - 1)
ALL_OFF = EvidenceSettings(memory=False, dispersion=False, day_adjustment=False)


class Days(NamedTuple):
    """(T, K) each."""

    trials: Floats
    values: Floats
    squares: Floats

    def times(self, factor: float) -> "Days":
        return Days(self.trials, factor * self.values, factor**2 * self.squares)

    def evidence(self, chosen: EvidenceSettings) -> Evidence:
        return evidence_of(self.trials, self.values, chosen, self.squares)


def random_days(seed: int, k: int | None = None) -> Days:
    """A month or less of log-normal orders: shares that move, silent days and variants, or none of these."""
    rng = np.random.default_rng(seed)
    days, k = int(rng.integers(1, 31)), k or int(rng.integers(1, 6))
    trials = rng.poisson(10 ** rng.uniform(0, 4) * rng.dirichlet(np.ones(k), days))
    trials *= rng.random((days, k)) < rng.choice([0.7, 1.0])
    orders = rng.binomial(trials, (10 ** rng.uniform(-3, -0.5) * rng.lognormal(0, 0.3, (days, k))).clip(0, 1))
    worth = OrderValues(10 ** rng.uniform(-2, 4) * rng.lognormal(0, 0.2, k), float(rng.uniform(0, 2)))
    return Days(trials.astype(np.float64), *draw_values(orders, worth, rng))


def best_of(evidence: Evidence) -> Floats:
    present = np.ones((1, len(evidence.alpha)), dtype=bool)
    contest = contest_of_groups(evidence.group_alpha[None], evidence.group_beta[None], present)
    return np.asarray(contest.probability_best[0])


def test_day_variances__two_days__are_those_of_the_visitors() -> None:
    # four visitors of 0, 0, 30 and 10, and a single one
    trials, values, squares = (
        np.array([[4.0], [1.0]]),
        np.array([[40.0], [5.0]]),
        np.array([[1000.0], [25.0]]),
    )

    variance = day_variances(trials, values, squares)

    assert np.var([0, 0, 30, 10], ddof=1) == 200
    assert variance.tolist() == [[800], [0]]


def test_units_of__two_variants__spread_is_drawn_to_the_pooled_one_by_twenty_orders() -> None:
    trials, values = np.array([[[101.0, 101.0]]]), np.array([[[200.0, 100.0]]])
    squares = np.array([[[4000.0, 5000.0]]])

    units = units_of(trials, values, squares)

    variance = (np.array([4000, 5000]) - np.array([200, 100]) ** 2 / 101) * 101 / 100
    own, pooled = variance / [200, 100], variance.sum() / 300
    orders = np.array([200**2 / 4000, 100**2 / 5000])  # 10 and 2
    assert units.pooled == pytest.approx(pooled)
    assert units.spread[0] == pytest.approx((orders * own + 20 * pooled) / (orders + 20))
    assert units.unit == pytest.approx(1e5 * 200 / 101)


def test_evidence_of__values__posterior_is_the_gamma_of_effective_orders() -> None:
    trials, values, squares = (
        np.array([[1000.0, 2000.0]]),
        np.array([[3000.0, 5000.0]]),
        np.array([[3e5, 6e5]]),
    )

    evidence = evidence_of(trials, values, ALL_OFF, squares)

    phi, mu = evidence.spread, 8000 / 3000
    shape, rate = 1 + values[0] / phi, 1 / mu + trials[0] / phi
    assert evidence.alpha == pytest.approx(shape, rel=1e-12)
    assert evidence.unit * evidence.alpha / (evidence.alpha + evidence.beta) == pytest.approx(
        shape / rate, rel=1e-9
    )
    assert evidence.beta == pytest.approx(evidence.alpha * (evidence.unit * rate / shape - 1), rel=1e-9)
    assert evidence.effective_orders == pytest.approx(values[0] / phi)
    assert evidence.effective_trials == pytest.approx(trials[0])
    assert evidence.successes == pytest.approx(values[0])


def test_evidence_of__every_order_is_worth_two__is_as_sure_as_the_count_of_orders() -> None:
    trials, orders = np.array([[50_000.0, 50_000.0]]), np.array([[100.0, 130.0]])

    of_counts = evidence_of(trials, orders, EvidenceSettings())
    of_values = evidence_of(trials, 2 * orders, EvidenceSettings(), 4 * orders)

    assert best_of(of_values) == pytest.approx(best_of(of_counts), abs=2e-4)
    assert of_values.spread == pytest.approx([2, 2], rel=3e-3)


def test_evidence_of__own_number_of_failures_assumed__means_nothing_for_values() -> None:
    days = random_days(1, 3)

    own, blank = (days.evidence(EvidenceSettings(beta_prior=beta)) for beta in (50.0, None))

    assert own.beta.tolist() == blank.beta.tolist()


def test_evidence_of__no_value_yet__is_finite_and_equal_for_all() -> None:
    evidence = evidence_of(np.full((3, 2), 100.0), np.zeros((3, 2)), EvidenceSettings(), np.zeros((3, 2)))

    assert best_of(evidence) == pytest.approx([0.5, 0.5])
    assert evidence.effective_orders.tolist() == [0, 0]


def test_evidence_of__all_visitors_are_worth_the_same__is_sure_but_finite() -> None:
    trials = np.full((5, 2), 1000.0)

    evidence = evidence_of(trials, trials * [10.0, 10.1], EvidenceSettings(), trials * [100.0, 102.01])

    assert best_of(evidence)[1] > 0.999
    assert np.isfinite(evidence.alpha).all()
    assert evidence.phi == pytest.approx(1, abs=0.5)


def test_evidence_of__days_of_one_visitor__spread_is_that_of_the_orders() -> None:
    values = np.tile([[10.0, 0.0], [0.0, 30.0]], (5, 1))

    evidence = evidence_of(np.ones((10, 2)), values, EvidenceSettings(), values**2)

    assert evidence.spread == pytest.approx([25, 25])  # (5 * 100 + 5 * 900) / (5 * 10 + 5 * 30)


def test_largest_parts__known_sums__bounds_the_largest_order_by_the_root_of_the_squares() -> None:
    # a day of one order of 60 and three of 10, a day of two orders of 5; a variant without any
    values, squares = np.array([[90.0, 0.0], [10.0, 0.0]]), np.array([[3900.0, 0.0], [50.0, 0.0]])

    part = largest_parts(values, squares)

    assert part.tolist() == [np.sqrt(3900) / 100, 0]
    assert part[0] >= 60 / 100


def test_largest_parts__known_number_of_orders__bounds_the_largest_by_the_others_being_alike() -> None:
    # a day of one order of 60 and three of 10, and one of two orders of 5: the bound is what there was
    values, squares = np.array([[90.0], [10.0]]), np.array([[3900.0], [50.0]])

    part = largest_parts(values, squares, np.array([[4.0], [2.0]]))

    assert part == pytest.approx([0.6])


@pytest.mark.parametrize("orders", [20, 1000])
def test_largest_parts__equal_orders_of_one_day__each_is_as_small_as_it_is(orders: int) -> None:
    part = largest_parts(np.array([[orders * 5.0]]), np.array([[orders * 25.0]]), np.array([[float(orders)]]))

    assert part == pytest.approx([1 / orders])


def test_largest_parts__value_beside_no_order__is_that_of_one() -> None:
    assert largest_parts(np.array([[7.0]]), np.array([[49.0]]), np.zeros((1, 1))).tolist() == [1]


@given(st.lists(st.lists(st.integers(0, 10**6), min_size=1, max_size=20), min_size=1, max_size=4))
def test_largest_parts__any_orders__are_bounded_and_never_above_the_root(days: list[list[int]]) -> None:
    values = np.array([[float(sum(day))] for day in days])
    squares = np.array([[float(sum(value**2 for value in day))] for day in days])
    orders = np.array([[float(len(day))] for day in days])

    part, by_root = largest_parts(values, squares, orders), largest_parts(values, squares)

    assert part[0] <= by_root[0] * (1 + 1e-6)
    if values.sum():
        assert part[0] * (1 + 1e-6) >= max(map(max, days)) / values.sum()


def gamma_best(shape: Floats, rate: Floats) -> Floats:
    """P(best) of Gamma posteriors, by quadrature in the logarithm of the value."""
    scale, answer = shape / rate, []
    cuts = np.unique([np.log(stats.gamma.ppf(p, a, scale=m / a)) for a, m in zip(shape, scale, strict=True)
                      for p in (1e-12, 1e-4, 0.02, 0.3, 0.7, 0.98, 1 - 1e-4, 1 - 1e-12)])  # fmt: skip
    for i in range(len(shape)):
        others = np.arange(len(shape)) != i
        level = shape[i] * np.log(rate[i]) - special.gammaln(shape[i])

        # scipy's own functions below stats.gamma, which checks its arguments for 20 times as long
        def density(z: float, i: int = i, others: Any = others, level: float = level) -> float:
            x = np.exp(z)
            below = special.gammainc(shape[others], rate[others] * x)
            return float(np.exp(level + shape[i] * z - rate[i] * x) * np.prod(below))

        answer.append(
            integrate.quad(density, cuts[0], cuts[-1], points=cuts[1:-1], limit=500, epsabs=1e-10)[0]
        )
    return np.array(answer)


@pytest.mark.parametrize("seed", range(12))
def test_contest__values__agrees_with_quadrature_and_draws_of_the_gamma_posteriors(seed: int) -> None:
    rng = np.random.default_rng(seed)
    evidence = random_days(seed, int(rng.integers(2, 5))).evidence(replace(ALL_OFF, day_adjustment=True))
    shape = evidence.alpha
    rate = (evidence.alpha + evidence.beta) / evidence.unit

    best = best_of(evidence)

    draws = rng.gamma(shape, 1 / rate, (200_000, len(shape)))
    drawn = np.bincount(draws.argmax(axis=1), minlength=len(shape)) / len(draws)
    assert best == pytest.approx(gamma_best(shape, rate), abs=1e-5)
    assert best == pytest.approx(drawn, abs=5e-3)


@pytest.mark.parametrize(("k", "days"), [(1, 1), (2, 14), (4, 14)])
def test_intervals__log_normal_orders__cover_about_95_percent(k: int, days: int) -> None:
    """2,000 visitors a variant, 3% of whom buy for exp(N(0, 0.8^2)) times 30."""
    rng = np.random.default_rng(5)
    worth = OrderValues(np.full(k, 30.0), float(np.sqrt(np.expm1(0.8**2))))
    trials = np.full((3000, days, k), 2000 // days)
    values, squares = draw_values(rng.binomial(trials, 0.03), worth, rng)

    found = evidence_of_many(
        trials.astype(np.float64), values, EvidenceRules.of([EvidenceSettings()] * 3000), squares
    )
    interval = quantiles(found.alpha, found.beta, (0.025, 0.975)) * found.unit[:, None, None]

    covered = ((interval[..., 0] <= 0.9) & (interval[..., 1] >= 0.9)).mean()
    assert 0.93 <= covered <= 0.97


@settings(max_examples=30, deadline=None)
@given(seed=SEED, power=st.integers(-20, 20))
def test_evidence_of__other_currency__scales_rates_and_nothing_else(seed: int, power: int) -> None:
    days, factor = random_days(seed), 2.0**power

    one, other = days.evidence(EvidenceSettings()), days.times(factor).evidence(EvidenceSettings())

    assert best_of(other).tolist() == best_of(one).tolist()
    assert other.alpha.tolist() == one.alpha.tolist()
    if days.values.any():
        assert (other.unit, other.spread.tolist()) == (one.unit * factor, (one.spread * factor).tolist())


@settings(max_examples=30, deadline=None)
@given(seed=SEED, where=st.integers(0, 4))
def test_evidence_of__further_variant_without_data__changes_nothing(seed: int, where: int) -> None:
    days = random_days(seed)
    place = min(where, days.trials.shape[1])
    more = Days(*(np.insert(array, place, 0.0, axis=1) for array in days))

    one, other = days.evidence(EvidenceSettings()), more.evidence(EvidenceSettings())

    np.testing.assert_allclose(np.delete(other.alpha, place), one.alpha, rtol=1e-9)
    np.testing.assert_allclose(np.delete(other.beta, place), one.beta, rtol=1e-9)
    np.testing.assert_allclose(other.regime_starts, one.regime_starts, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=SEED)
def test_evidence_of__other_order_of_variants__is_the_same_answer(seed: int) -> None:
    days, rng = random_days(seed), np.random.default_rng(seed)
    order = rng.permutation(days.trials.shape[1])

    one = days.evidence(EvidenceSettings())
    other = Days(*(array[:, order] for array in days)).evidence(EvidenceSettings())

    np.testing.assert_allclose(other.alpha, one.alpha[order], rtol=1e-9)
    np.testing.assert_allclose(other.beta, one.beta[order], rtol=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=SEED)
def test_evidence_of_many__values_beside_counts__is_what_each_is_alone(seed: int) -> None:
    days = random_days(seed)
    counts = np.floor(days.trials / 10)
    no_squares = np.full_like(days.squares, np.nan)

    together = evidence_of_many(
        np.stack([days.trials] * 2),
        np.stack([counts, days.values]),
        EvidenceRules.of([EvidenceSettings()] * 2),
        np.stack([no_squares, days.squares]),
    )

    alone = evidence_of(days.trials, counts, EvidenceSettings()), days.evidence(EvidenceSettings())
    for n, own in enumerate(alone):
        for name in vars(own):
            np.testing.assert_array_equal(getattr(together.of_experiment(n), name), getattr(own, name))
