"""The panels that do for many variants: as exact as all of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation.engine.posterior import probability_best
from allocation.engine.posterior.beta import panel_edges
from allocation.engine.posterior.panels import enough_cuts

PARAMETERS = st.floats(-9, 12).map(lambda power: 10.0**power)


@settings(max_examples=40)
@given(pairs=st.lists(st.tuples(PARAMETERS, PARAMETERS), min_size=7, max_size=30), alike=st.booleans())
def test_contest__odd_posteriors_of_many_variants__is_that_of_all_panels(
    pairs: list[tuple[float, float]], alike: bool
) -> None:
    alpha, beta = (np.array(column)[None] for column in zip(*pairs, strict=True))
    if alike:
        beta = np.full_like(beta, beta[0, 0])
    few = probability_best.contest(alpha, beta)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probability_best, "FEW", 1000)
        all_of_them = probability_best.contest(alpha, beta)

    assert few.probability_best == pytest.approx(all_of_them.probability_best, abs=1e-9)
    assert few.expected_loss == pytest.approx(all_of_them.expected_loss, abs=1e-9)


def test_enough_cuts__a_hundred_equal_variants__are_those_of_one() -> None:
    own = panel_edges(np.full((1, 100), 5.0), np.full((1, 100), 95.0))
    cuts = np.sort(own.reshape(1, -1), axis=-1)

    chosen = np.take_along_axis(cuts, enough_cuts(cuts, own, np.ones((1, 100), dtype=bool)), axis=-1)

    assert np.unique(chosen[0]) == pytest.approx(own[0, 0])


def test_contest__two_variants__takes_all_panels_as_ever() -> None:
    # P(Beta(0.01, 1) > Beta(1, 1)) = E[1 - F(x)] with F(x) = x^0.01 under the uniform distribution: 1 - 1 / 1.01
    found = probability_best.probability_best([0.01, 1.0], [1.0, 1.0])

    assert found[0] == pytest.approx(1 - 1 / 1.01, abs=1e-9)
