"""The place where a curve crosses 0."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from allocation.engine.analysis.crossing import crossings
from allocation.engine.posterior.beta import Floats


def crossing(height: Callable[[float], float], inner: float, outer: float) -> float:
    """Find that of a single curve."""

    def heights(x: Floats) -> Floats:
        return np.array([height(float(x[0]))])

    return float(crossings(heights, np.array([inner]), np.array([outer]))[0])


@pytest.mark.parametrize(
    "height",
    [
        lambda x: x - 1.25,
        lambda x: 1e-9 * (x**3 - 1.25**3),
        lambda x: math.tanh(50 * (x - 1.25)),
        lambda x: -1.0 if x < 1.25 else 1.0,
        lambda x: max(x - 1.25, -1e-3),
        lambda x: math.expm1(min(x - 1.25, 20)),
    ],
    ids=["straight", "flat", "steep", "step", "plateau", "bent"],
)
def test_crossing__curve_of_any_shape__is_found_from_either_side(height: Callable[[float], float]) -> None:
    assert crossing(height, -20.0, 20.0) == pytest.approx(1.25, abs=1e-11)
    assert crossing(lambda x: height(-x), 20.0, -20.0) == pytest.approx(-1.25, abs=1e-11)


def test_crossing__no_crossing__is_the_end_that_is_nearest_to_one() -> None:
    assert crossing(lambda _x: -1.0, 0.0, 5.0) == 5
    assert crossing(lambda _x: 1.0, 0.0, 5.0) == 0
    assert crossing(lambda x: x, 0.0, 5.0) == 0


@given(root=st.floats(-19, 19), steepness=st.floats(-6, 6), power=st.sampled_from([1, 3, 5]))
@example(root=0.0, steepness=6.0, power=5)
def test_crossing__smooth_curve__takes_few_looks(root: float, steepness: float, power: int) -> None:
    looks: list[float] = []

    def height(x: float) -> float:
        looks.append(x)
        return math.tanh(10**steepness * (x - root) ** power)

    found = crossing(height, -20.0, 20.0)

    assert abs(height(found)) < 1e-3 or abs(found - root) < 1e-11
    # halving alone takes 46
    assert len(looks) <= 100


@given(
    roots=st.lists(st.floats(-25, 25), min_size=1, max_size=5),
    steepness=st.floats(-6, 6),
    power=st.sampled_from([1, 3, 5]),
)
def test_crossings__of_many_curves__are_those_of_each(
    roots: list[float], steepness: float, power: int
) -> None:
    def heights(of: Floats) -> Callable[[Floats], Floats]:
        return lambda x: np.asarray(10**steepness * (x - of) ** power)

    ends = np.full(len(roots), -20.0), np.full(len(roots), 20.0)
    found = crossings(heights(np.array(roots)), *ends)

    alone = [crossings(heights(np.array([root])), *(end[:1] for end in ends))[0] for root in roots]
    assert found.tolist() == alone
