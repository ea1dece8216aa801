"""probability_best, expected_loss and value_remaining: golden numbers, closed forms, scipy, invariants."""

import json
from collections.abc import Callable
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from allocation.engine import expected_loss, probability_best, value_remaining
from allocation.engine.posterior import advantage
from allocation.engine.posterior.beta import Floats, Grid
from allocation.engine.posterior.probability_best import contest, leader
from allocation.engine.posterior.value_remaining import Earlier, margin_at, probability_within
from tests.allocation.engine.factories import random_posteriors
from tests.allocation.engine.oracle import contest_by_scipy

VECTORS = json.loads(
    (Path(__file__).parents[4] / "benchmarks" / "data" / "probability_best_vectors.json").read_text()
)
SEED = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"K{len(vector['alpha'])}")
def test_probability_best__vectors__agree_to_a_millionth(vector: dict[str, list[float]]) -> None:
    best = probability_best(vector["alpha"], vector["beta"])
    loss = expected_loss(vector["alpha"], vector["beta"])

    np.testing.assert_allclose(best, vector["probability_best"], atol=1e-7)
    np.testing.assert_allclose(loss, vector["expected_loss"], atol=1e-7)


def test_probability_best__two_coins__has_the_closed_form() -> None:
    # Beta(2, 1) beats Beta(1, 2): 1 - integral of 2 (1 - x) x^2 = 5/6; E[max] = 0.7
    np.testing.assert_allclose(probability_best([2, 1], [1, 2]), [5 / 6, 1 / 6], atol=1e-10)
    np.testing.assert_allclose(expected_loss([2, 1], [1, 2]), [0.7 - 2 / 3, 0.7 - 1 / 3], atol=1e-10)


@pytest.mark.parametrize("k", [1, 2, 7, 100])
def test_probability_best__equal_variants__share_evenly(k: int) -> None:
    for alpha, beta in ((1, 1), (0.5, 1000), (1e8, 1e9), (1e-9, 1e-9)):
        best = probability_best([alpha] * k, [beta] * k)

        np.testing.assert_allclose(best, 1 / k, atol=1e-9)


def test_probability_best__uniform_variants__lose_what_the_highest_of_k_would_gain() -> None:
    np.testing.assert_allclose(expected_loss([1] * 9, [1] * 9), 9 / 10 - 1 / 2, atol=1e-10)


@settings(max_examples=30, deadline=None)
@given(seed=SEED)
def test_contest__any_posteriors__agrees_with_scipy(seed: int) -> None:
    alpha, beta = random_posteriors(seed)

    best, loss = contest(alpha, beta)

    scipy_best, scipy_loss = contest_by_scipy(alpha, beta)
    np.testing.assert_allclose(best, scipy_best, atol=1e-6)
    np.testing.assert_allclose(loss, scipy_loss, atol=1e-6)


@settings(deadline=None)
@given(seed=SEED, power=st.floats(-9, 12), k=st.integers(1, 30))
def test_contest__extreme_posteriors__is_finite_and_sums_to_one(seed: int, power: float, k: int) -> None:
    rng = np.random.default_rng(seed)
    alpha, beta = 10 ** rng.uniform(-9, max(power, -8.9), (2, 3, k))

    best, loss = contest(alpha, beta)

    assert np.isfinite(best).all()
    assert np.isfinite(loss).all()
    assert (best >= 0).all()
    assert (loss >= 0).all()
    np.testing.assert_allclose(best.sum(axis=-1), 1, atol=1e-9)


@settings(deadline=None)
@given(seed=SEED)
def test_probability_best__better_count__never_lowers_it(seed: int) -> None:
    alpha, beta = random_posteriors(seed)
    more = alpha + np.where(np.arange(len(alpha)) == 0, 1, 0)

    assert probability_best(more, beta)[0] >= probability_best(alpha, beta)[0] - 1e-9


@settings(deadline=None)
@given(seed=SEED)
def test_contest__other_order__gives_the_same_numbers(seed: int) -> None:
    alpha, beta = random_posteriors(seed)
    order = np.random.default_rng(seed).permutation(len(alpha))

    np.testing.assert_allclose(
        contest(alpha[order], beta[order]).probability_best,
        contest(alpha, beta).probability_best[order],
        atol=1e-10,
    )


def test_contest__ragged_batch__answers_zero_for_the_absent_and_the_same_for_the_others() -> None:
    alpha, beta = np.array([[5.0, 9.0, 0.0], [1.0, 1.0, 1.0]]), np.array([[95.0, 91.0, 0.0], [1.0, 1.0, 1.0]])
    present = np.array([[True, True, False], [True, True, True]])

    best, loss = contest(alpha, beta, present)

    np.testing.assert_allclose(best[0, :2], probability_best([5, 9], [95, 91]), atol=1e-12)
    assert best[0, 2] == loss[0, 2] == 0
    np.testing.assert_allclose(best[1], 1 / 3, atol=1e-10)


def test_contest__batch_with_a_huge_row__leaves_the_other_rows_alone() -> None:
    alone = contest([[11.0, 13.0]], [[90.0, 89.0]])

    together = contest([[11.0, 13.0], [1e12, 1e-9]], [[90.0, 89.0], [1e12, 1.0]])

    np.testing.assert_array_equal(together.probability_best[0], alone.probability_best[0])
    np.testing.assert_array_equal(together.expected_loss[0], alone.expected_loss[0])


@pytest.mark.parametrize(
    ("alpha", "beta"),
    [
        ([1, 0], [1, 1]),
        ([1, -1], [1, 1]),
        ([1, np.nan], [1, 1]),
        ([1, np.inf], [1, 1]),
        ([1], [1, 1]),
        ([], []),
        (1, 1),
    ],
)
def test_probability_best__impossible_parameters__are_refused(alpha: list[float], beta: list[float]) -> None:
    with pytest.raises(ValueError, match="alpha and beta"):
        probability_best(alpha, beta)


def test_leader__ties__go_to_the_higher_mean_then_to_the_first() -> None:
    best = np.array([[0.4, 0.4, 0.2], [0.4, 0.4, 0.2], [0.9, 0.05, 0.05]])
    mean = np.array([[0.1, 0.2, 0.3], [0.1, 0.1, 0.3], [0.1, 0.2, 0.3]])
    present = np.array([[True] * 3, [True] * 3, [False, True, True]])

    assert leader(best, mean, present).tolist() == [1, 0, 2]


def within_by_scipy(alpha: list[float], beta: list[float], margin: float) -> float:
    """P(all rivals <= (1 + margin) * the first), one quad over the first's rate."""

    def integrand(x: float) -> float:
        rivals = stats.beta.cdf((1 + margin) * x, alpha[1:], beta[1:])
        return float(stats.beta.pdf(x, alpha[0], beta[0]) * np.prod(rivals))

    points = np.append(stats.beta.ppf([0.001, 0.5, 0.999], alpha[0], beta[0]), 1 / (1 + margin))
    return float(integrate.quad(integrand, 0, 1, points=points, limit=400, epsabs=1e-12)[0])


@pytest.mark.parametrize(
    ("alpha", "beta"),
    [([1, 1], [1, 1]), ([50, 55, 40], [950, 945, 960]), ([2, 1, 1, 1], [1, 1, 1, 1]), ([500, 3], [9500, 50])],
)
@pytest.mark.parametrize("margin", [0, 0.01, 0.3, 5])
def test_probability_within__any_margin__agrees_with_scipy(
    alpha: list[float], beta: list[float], margin: float
) -> None:
    a, b = np.array([alpha], dtype=float), np.array([beta], dtype=float)

    within = probability_within(a, b, np.ones(a.shape, dtype=bool), np.array([float(margin)]))

    assert within[0] == pytest.approx(within_by_scipy(alpha, beta, margin), abs=1e-7)


def test_value_remaining__two_unknown_rates__has_the_closed_form() -> None:
    # for two uniform rates P(y <= (1 + v) x) = 1 - 1 / (2 (1 + v)), which is 0.95 at v = 9
    assert value_remaining([1, 1], [1, 1], None, 0) == pytest.approx(9, rel=1e-6)


def test_value_remaining__leader_already_sure__is_zero() -> None:
    assert value_remaining([951, 701], [9051, 9301], None, 0) == 0


def test_value_remaining__alone__is_zero() -> None:
    assert value_remaining([[5]], [[9]], None, [0]).tolist() == [0]


@settings(max_examples=25, deadline=None)
@given(seed=SEED)
def test_value_remaining__any_posteriors__is_where_the_probability_is_95_percent(seed: int) -> None:
    alpha, beta = random_posteriors(seed)
    best = probability_best(alpha, beta)
    lead = int(np.argmax(best))

    margin = value_remaining(alpha, beta, None, lead, best[lead])

    order = [lead, *(i for i in range(len(alpha)) if i != lead)]
    a, b = alpha[None, order], beta[None, order]
    reached = probability_within(a, b, np.ones(a.shape, dtype=bool), np.array([float(margin)]))
    assert reached[0] == pytest.approx(max(0.95, best[lead]), abs=1e-6)


@settings(deadline=None)
@given(seed=SEED)
def test_value_remaining__extreme_posteriors__is_finite(seed: int) -> None:
    rng = np.random.default_rng(seed)
    alpha, beta = 10 ** rng.uniform(-9, 12, (2, 4, int(rng.integers(1, 6))))
    lead = np.argmax(probability_best(alpha, beta), axis=-1)

    assert np.isfinite(value_remaining(alpha, beta, None, lead)).all()


def test_probability_within__rivals_piled_up_at_one__agrees_with_scipy() -> None:
    # the stretched distributions end in a wall at 1 / (1 + margin), with much of their mass next to it
    alpha, beta, wall = [3.3, 3.3, 3.3, 4.3], [0.5, 0.5, 7.5, 0.6], 1 / 1.5

    within = probability_within(
        np.array([alpha]), np.array([beta]), np.ones((1, 4), dtype=bool), np.array([0.5])
    )

    def before_the_wall(u: float) -> float:
        rivals = np.prod(stats.beta.cdf(1 - u**4, alpha[1:], beta[1:]))
        return float(stats.beta.pdf(wall * (1 - u**4), alpha[0], beta[0]) * rivals * wall * 4 * u**3)

    beyond = float(stats.beta.sf(wall, alpha[0], beta[0]))
    assert within[0] == pytest.approx(integrate.quad(before_the_wall, 0, 1)[0] + beyond, abs=1e-6)


@pytest.mark.parametrize("beta", [1e-6, 1e-3, 0.03, 0.45, 1.0, 30.0])
@pytest.mark.parametrize("rivals", [1, 3, 8])
@pytest.mark.parametrize("log_factor", [1e-9, 1e-3, 0.7, 12.0])
def test_probability_within__rivals_next_to_one__has_the_closed_form(
    beta: float, rivals: int, log_factor: float
) -> None:
    """F_j(y) = 1 - (1 - y)^beta; the first is uniform: P = 1 - e^-x + e^-x E[prod F_j(y)], y uniform, too."""
    inside = sum((-1) ** n * comb(rivals, n) / (1 + n * beta) for n in range(rivals + 1))
    alpha, betas = np.ones((1, rivals + 1)), np.array([[1.0, *[beta] * rivals]])

    within = probability_within(
        alpha, betas, np.ones(alpha.shape, dtype=bool), np.array([np.expm1(log_factor)])
    )

    assert within[0] == pytest.approx(-np.expm1(-log_factor) + np.exp(-log_factor) * inside, abs=1e-9)


@pytest.mark.parametrize("beta", [1e-3, 0.2])
def test_value_remaining__rival_next_to_one__has_the_closed_form(beta: float) -> None:
    # 1 - P(theta_1 <= e^x theta_0) = e^-x E[1 - F(y)] = e^-x / (1 + beta), which is 0.05 at e^x = 20 / (1 + beta)
    expected = 20 / (1 + beta) - 1

    assert value_remaining([1.0, 1.0], [1.0, beta], None, 0) == pytest.approx(expected, rel=1e-6)


def test_value_remaining__coarse__is_what_it_was_before_rules_5() -> None:
    alpha, beta = [[1.0, 1.0], [30.0, 40.0]], [[1.0, 1e-3], [970.0, 960.0]]

    before = value_remaining(alpha, beta, None, [0, 0], earlier=Earlier(*np.ones((2, 2), dtype=bool)))

    assert before.tolist() == pytest.approx([19.059163619985284, 0.9890096465901963], rel=1e-9)


HARD: dict[str, Callable[[Floats], tuple[Floats, Floats]]] = {
    "rate 1": lambda n: (n + 1, np.ones_like(n)),
    "rate 1, beta prior 0.01": lambda n: (n + 1, np.full_like(n, 0.01)),
    "rate 1, beta prior 1e-9": lambda n: (n + 1, np.full_like(n, 1e-9)),
    "half without success": lambda n: (np.where(np.arange(len(n)) % 2, 0.01, n * 0.05 + 1), n),
    "half without success, prior 1e-9": lambda n: (np.where(np.arange(len(n)) % 2, 1e-9, n * 0.05 + 1), n),
    "huge and equal": lambda n: (np.full_like(n, 5e10), np.full_like(n, 9.5e11)),
    "a newcomer": lambda n: (np.where(np.arange(len(n)), 5e7, 1.0), np.where(np.arange(len(n)), 9.5e8, 1.0)),
    "tiny and huge": lambda n: (np.where(n > 5000, 1e-9, 1e12), np.where(n % 2, 1e-9, 1e12)),
}


@pytest.mark.parametrize("name", HARD)
def test_value_remaining__a_hundred_awkward_posteriors__takes_few_steps(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha, beta = HARD[name](np.random.default_rng(1).integers(100, 10_000, 100).astype(float))
    best = probability_best(alpha, beta)
    lead = leader(best, alpha / (alpha + beta), np.ones(100, dtype=bool))
    panels: list[int] = []
    whole = advantage._within_rows

    def counted(field: Any, log_factor: Floats, cuts: Floats, grid: Grid) -> tuple[Floats, Floats]:
        panels.append(cuts.shape[1] - 1)
        return whole(field, log_factor, cuts, grid)

    monkeypatch.setattr(advantage, "_within_rows", counted)
    remaining = value_remaining(alpha, beta, None, lead, best[lead])

    assert 0 <= remaining <= 1.0000001e9
    assert len(panels) <= 42
    assert max(panels, default=0) <= 60


def test_value_remaining__half_without_success__is_found_between_the_others() -> None:
    # variants whose rate is next to nothing change nothing; on panels of their length the others vanished
    alpha, beta = np.array([51.0, 0.01, 46.0, 1e-9]), np.array([950.0, 1000.0, 955.0, 1000.0])

    with_them = value_remaining(alpha, beta, None, 0)

    assert with_them == pytest.approx(float(value_remaining(alpha[[0, 2]], beta[[0, 2]], None, 0)), rel=1e-6)


def test_value_remaining__batch__answers_as_one_by_one() -> None:
    rng = np.random.default_rng(3)
    alpha, beta = 10 ** rng.uniform(-1, 6, (2, 60, 4))
    lead = np.argmax(probability_best(alpha, beta), axis=-1)

    together = value_remaining(alpha, beta, None, lead)

    alone = [float(value_remaining(a, b, None, i)) for a, b, i in zip(alpha, beta, lead, strict=True)]
    np.testing.assert_allclose(together, alone, rtol=1e-12)


def test_margin_at__low_level__is_the_smallest_margin_that_reaches_it() -> None:
    a, b = np.array([[30.0, 50.0]]), np.array([[970.0, 950.0]])

    margin = margin_at(a, b, np.ones((1, 2), dtype=bool), np.array([0.5]))

    assert within_by_scipy([30, 50], [970, 950], float(margin[0])) == pytest.approx(0.5, abs=1e-6)


def test_contest__beside_an_experiment_of_many_variants__is_what_it_is_alone() -> None:
    """Rates next to 1, whose posteriors take more nodes: nine places for variants that it does not have."""
    alpha, beta = np.array([1e6, 1.1e6, 0.9e6]), np.array([0.05, 0.1, 3.0])
    padded = np.ones((2, 12))
    padded[:, :3] = alpha, alpha
    others = np.ones((2, 12))
    others[:, :3] = beta, beta
    present = np.ones((2, 12), dtype=bool)
    present[0, 3:] = False

    beside = contest(padded, others, present)

    alone = contest(alpha, beta)
    assert beside.probability_best[0, :3] == pytest.approx(alone.probability_best, abs=1e-14)
    assert beside.expected_loss[0, :3] == pytest.approx(alone.expected_loss, abs=1e-14)
