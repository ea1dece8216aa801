"""All panels of a few ordinary posteriors say what the stretch says that matters, cut finely."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from allocation.engine.posterior import advantage, advantage_of_few
from allocation.engine.posterior.beta import GRADED, Floats, panel_edges

PARAMETER = st.floats(np.log10(0.41), 6).map(lambda power: 10.0**power)
PAIRS = st.lists(st.tuples(PARAMETER, PARAMETER), min_size=2, max_size=6)
FIRST = np.array([0])


def by_both(
    alpha: Floats, beta: Floats, log_factor: float
) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    present, x = np.ones(alpha.shape, dtype=bool), np.array([log_factor])
    few = advantage_of_few.on(alpha, beta, present, panel_edges(alpha, beta))(FIRST, x)
    return few, advantage.on(alpha, beta, present, GRADED)(FIRST, x)


@example(pairs=[(1.0, 1.0), (1.0, 1.0)], power=-1.0)
@example(pairs=[(50.0, 950.0), (1.0, 20.0)], power=0.0)
@given(pairs=PAIRS, power=st.floats(-7, 1))
def test_on__any_ordinary_posteriors__agrees_with_fine_panels(
    pairs: list[tuple[float, float]], power: float
) -> None:
    alpha, beta = (np.array(column)[None] for column in zip(*pairs, strict=True))

    (probability, _), (fine, _) = by_both(alpha, beta, 10.0**power)

    assert probability == pytest.approx(fine, abs=1e-8)


@pytest.mark.parametrize("log_factor", [1e-6, 0.03, 0.2])
def test_on__rates_of_five_percent__has_the_slope_too(log_factor: float) -> None:
    few, fine = by_both(np.array([[51.0, 48.0, 60.0]]), np.array([[950.0, 953.0, 941.0]]), log_factor)

    assert few[1] == pytest.approx(fine[1], rel=1e-8)


def test_on__uniform_first_beside_a_uniform_rival__has_the_closed_form() -> None:
    # P(theta_1 <= e^x theta_0) = 1 - e^-x / 2; its derivative in x is e^-x / 2
    few, _ = by_both(np.ones((1, 2)), np.ones((1, 2)), 0.1)

    assert few[0][0] == pytest.approx(1 - np.exp(-0.1) / 2, abs=1e-10)
    assert few[1][0] == pytest.approx(np.exp(-0.1) / 2, abs=1e-9)


def test_on__absent_rival__counts_as_beaten() -> None:
    alpha, beta = np.array([[51.0, 48.0, 51.0]]), np.array([[950.0, 953.0, 950.0]])
    present, edges, x = np.array([[True, True, False]]), panel_edges(alpha, beta), np.array([0.05])

    with_it = advantage_of_few.on(alpha, beta, present, edges)(FIRST, x)

    two = alpha[:, :2], beta[:, :2], present[:, :2]
    assert with_it[0] == pytest.approx(advantage_of_few.on(*two, edges[:, :2])(FIRST, x)[0], abs=1e-11)
