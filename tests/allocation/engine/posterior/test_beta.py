"""The Beta posteriors on the logit axis."""

import numpy as np
import pytest

from allocation.engine.posterior.beta import EDGES, legendre, panel_edges


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
