"""Panels are as short as the densities ask for; those that do for many variants are as exact as all of them."""

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import special

from allocation.engine.posterior import panels, probability_best
from allocation.engine.posterior.beta import Floats, panel_edges
from allocation.engine.posterior.panels import enough_cuts

PARAMETERS = st.floats(-9, 12).map(lambda power: 10.0**power)
SMALL = st.floats(-6, 2).map(lambda power: 10.0**power)


@settings(max_examples=40)
@example(pairs=[(1e6, 10**-2.875), (0.01, 1.0), *[(1.0, 1.0)] * 6], alike=True)
@given(pairs=st.lists(st.tuples(PARAMETERS, PARAMETERS), min_size=7, max_size=30), alike=st.booleans())
def test_contest__odd_posteriors_of_many_variants__is_that_of_all_panels(
    pairs: list[tuple[float, float]], alike: bool
) -> None:
    alpha, beta = (np.array(column)[None] for column in zip(*pairs, strict=True))
    if alike:
        beta = np.full_like(beta, beta[0, 0])
    few = probability_best.contest(alpha, beta)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panels, "FEW", 1000)
        all_of_them = probability_best.contest(alpha, beta)

    assert few.probability_best == pytest.approx(all_of_them.probability_best, abs=1e-9)
    assert few.expected_loss == pytest.approx(all_of_them.expected_loss, abs=1e-9)


def highest_by_scipy(alpha: Floats, beta: Floats) -> float:
    """E[max] = integral of 1 - prod F_i(x) over x, on the logit axis, where x (1 - x) leaves nothing beyond 45."""
    nodes, weights = special.roots_legendre(16)
    cuts = np.linspace(-45, 45, 361)
    z = (cuts[:-1, None] + (nodes + 1) * (cuts[1] - cuts[0]) / 2).ravel()
    distribution = special.betainc(alpha[:, None], beta[:, None], special.expit(z)).prod(axis=0)
    density = special.expit(z) * special.expit(-z) * np.tile(weights * (cuts[1] - cuts[0]) / 2, 360)
    return float(((1 - distribution) * density).sum())


@settings(max_examples=40)
@example(pairs=[(0.001, 0.001), (0.001, 0.01)], alike=False)
@given(pairs=st.lists(st.tuples(SMALL, SMALL), min_size=1, max_size=20), alike=st.booleans())
def test_expected_loss__small_parameters__agrees_with_scipy(
    pairs: list[tuple[float, float]], alike: bool
) -> None:
    alpha, beta = np.array(pairs * (7 if alike else 1)).T

    loss = probability_best.expected_loss(alpha, beta)

    exact = highest_by_scipy(alpha, beta) - alpha / (alpha + beta)
    np.testing.assert_allclose(loss, np.maximum(exact, 0), atol=1e-8)


def test_expected_loss__tiny_alphas_beside_a_tiny_beta__agrees_with_scipy() -> None:
    alpha, beta = np.array([(1e-4, 1.0), (1e-4, 1.0), (1e-4, 10**-2.5)] * 7).T

    loss = probability_best.expected_loss(alpha, beta)

    np.testing.assert_allclose(loss, highest_by_scipy(alpha, beta) - alpha / (alpha + beta), atol=1e-8)


@pytest.mark.parametrize("alpha", [1e-6, 1e-4, 0.01, 0.5, 1.0])
@pytest.mark.parametrize("count", [2, 21, 100])
def test_expected_loss__many_equal_variants__has_the_closed_form(count: int, alpha: float) -> None:
    """With beta = 1 each F is x^alpha, so that the highest of them has x^(count alpha), with mean c a / (c a + 1)."""
    loss = probability_best.expected_loss([alpha] * count, [1.0] * count)

    expected = count * alpha / (count * alpha + 1) - alpha / (alpha + 1)
    np.testing.assert_allclose(loss, expected, rtol=1e-8)


BETAS = [1e-6, 1e-4, 0.0005, 10**-2.875, 0.01, 0.05, 0.2, 0.35]


@pytest.mark.parametrize("count", [2, 5, 8])
def test_contest__tiny_betas__has_the_closed_form(count: int) -> None:
    """With alpha = 1, 1 - F(x) is (1 - x)^beta; the product of the others' F is a sum over every set of them."""
    betas, best = BETAS[-count:], [0.0] * count
    for size in range(count):
        for chosen in itertools.combinations(range(count), size):
            others = sum(betas[i] for i in chosen)
            for i in set(range(count)) - set(chosen):
                best[i] += (-1) ** size * betas[i] / (betas[i] + others)

    found = probability_best.probability_best([1.0] * count, betas)

    assert found == pytest.approx(best, abs=1e-10)


def test_contest__coarse__is_what_it_was_before_panels_were_graded() -> None:
    alpha, beta = [[1e6, 0.01, *[1.0] * 6]] * 2, np.full((2, 8), 10**-2.875)

    before, now = probability_best.contest(alpha, beta, coarse=[True, False]).probability_best

    assert before[:3] == pytest.approx(
        [0.12956355600148198, 0.10998937945638423, 0.12674117742368896], abs=1e-13
    )
    assert now[:3] == pytest.approx(
        [0.12956357623635414, 0.10998937694789972, 0.12674117446929103], abs=1e-11
    )


def test_enough_cuts__a_hundred_equal_variants__are_those_of_one() -> None:
    own = panel_edges(np.full((1, 100), 5.0), np.full((1, 100), 95.0))
    cuts = np.sort(own.reshape(1, -1), axis=-1)

    chosen = np.take_along_axis(cuts, enough_cuts(cuts, own, np.ones((1, 100), dtype=bool)), axis=-1)

    assert np.unique(chosen[0]) == pytest.approx(own[0, 0])


def test_contest__two_variants__takes_all_panels_as_ever() -> None:
    # P(Beta(0.01, 1) > Beta(1, 1)) = E[1 - F(x)] with F(x) = x^0.01 under the uniform distribution: 1 - 1 / 1.01
    found = probability_best.probability_best([0.01, 1.0], [1.0, 1.0])

    assert found[0] == pytest.approx(1 - 1 / 1.01, abs=1e-9)
