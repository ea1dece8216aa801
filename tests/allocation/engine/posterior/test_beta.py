"""The Beta posteriors on the logit axis, against scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from allocation.engine.posterior.beta import EDGES, legendre, panel_edges, quantiles

PARAMETER = st.floats(-2, 9).map(lambda power: 10.0**power)
LEVELS = (0.025, 0.5, 0.975)


def test_legendre__integration_matrix__integrates_polynomials_exactly() -> None:
    nodes, weights, antiderivative = legendre(10)

    assert weights.sum() == pytest.approx(2)
    np.testing.assert_allclose(antiderivative @ nodes**5, (nodes**6 - 1) / 6, atol=1e-14)


@pytest.mark.parametrize(
    ("alpha", "beta"), [(1, 1), (0.5, 0.5), (1e-9, 1e12), (1e12, 1e-9), (1e8, 1e8), (3, 1e6)]
)
def test_panel_edges__any_parameters__rise_and_are_finite(alpha: float, beta: float) -> None:
    edges = panel_edges(np.array([alpha]), np.array([beta]))

    assert edges.shape == (1, EDGES)
    assert np.isfinite(edges).all()
    assert (np.diff(edges) > 0).all()


def test_quantiles__uniform__are_the_levels_themselves() -> None:
    np.testing.assert_allclose(quantiles(np.array([1.0]), np.array([1.0]), LEVELS)[0], LEVELS, atol=1e-10)


def test_quantiles__one_success_in_two__have_a_closed_form() -> None:
    # Beta(2, 1) has the distribution function x^2
    np.testing.assert_allclose(
        quantiles(np.array([2.0]), np.array([1.0]), LEVELS)[0], np.sqrt(LEVELS), atol=1e-10
    )


@given(alpha=PARAMETER, beta=PARAMETER)
def test_quantiles__any_parameters__agree_with_scipy(alpha: float, beta: float) -> None:
    ours = quantiles(np.array([alpha]), np.array([beta]), LEVELS)[0]

    np.testing.assert_allclose(ours, stats.beta.ppf(LEVELS, alpha, beta), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("alpha", "beta"), [(1e-9, 1.0), (1e-9, 1e-9), (1e6, 1e-9), (1e-9, 1e12), (1e12, 1e12)]
)
def test_quantiles__extreme_parameters__are_ordered_rates(alpha: float, beta: float) -> None:
    low, middle, high = quantiles(np.array([alpha]), np.array([beta]), LEVELS)[0]

    assert 0 <= low <= middle <= high <= 1


def test_quantiles__in_any_company__are_those_of_each_alone() -> None:
    """Parameters that need more nodes, or more steps, beside ordinary ones."""
    alpha, beta = np.array([20.0, 1e8, 1e-9, 3.0, 1000.0]), np.array([400.0, 1.0, 5.0, 1e-6, 1000.0])

    together = quantiles(alpha, beta, [0.025, 0.975])

    for row in range(len(alpha)):
        alone = quantiles(alpha[row : row + 1], beta[row : row + 1], [0.025, 0.975])[0]
        assert together[row] == pytest.approx(alone, abs=1e-15)
