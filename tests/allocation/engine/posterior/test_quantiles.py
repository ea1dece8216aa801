"""Quantiles of Beta posteriors, against scipy."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from allocation.engine.posterior.earlier_quantiles import earlier_quantiles
from allocation.engine.posterior.quantiles import quantiles

PARAMETER = st.floats(-2, 9).map(lambda power: 10.0**power)
TINY = st.floats(-6, 0).map(lambda power: 10.0**power)
LEVELS = (0.025, 0.5, 0.975)


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


@example(alpha=1e-4, beta=1.0)
@example(alpha=0.01, beta=0.01)
@given(alpha=TINY, beta=TINY)
def test_quantiles__tiny_parameters__agree_with_scipy(alpha: float, beta: float) -> None:
    ours = quantiles(np.array([alpha]), np.array([beta]), LEVELS)[0]

    np.testing.assert_allclose(ours, stats.beta.ppf(LEVELS, alpha, beta), rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("alpha", [1e-4, 0.01, 0.3, 5.0])
@pytest.mark.parametrize("beta", [30.0, 1e6])
def test_quantiles__next_to_none_of_many_trials__agree_with_scipy_to_a_part_of_themselves(
    alpha: float, beta: float
) -> None:
    """As of values, whose rates are counted in units of 10^5 times their mean: the upper end of a Gamma, nearly."""
    (high,) = quantiles(np.array([alpha]), np.array([beta]), [0.999])[0]

    assert high == pytest.approx(stats.beta.ppf(0.999, alpha, beta), rel=1e-6)


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
        assert together[row].tolist() == alone.tolist()


def test_earlier_quantiles__tiny_parameters__are_what_was_recorded() -> None:
    alpha, beta = np.array([0.004, 20.0]), np.array([1e-4, 400.0])

    before, now = (find(alpha, beta, [0.025])[:, 0] for find in (earlier_quantiles, quantiles))

    assert now == pytest.approx(stats.beta.ppf(0.025, alpha, beta), abs=1e-10)
    assert before == pytest.approx([0.9980896558001154, 0.029396707994534463], abs=1e-13)
