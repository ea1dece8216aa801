"""The split that the promises allow."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation.engine.limits import TICKS, bounds, floors, previous_ticks, project, round_shares
from allocation.engine.posterior.beta import Floats


def test_project__loose_bounds__is_the_target() -> None:
    assert project(np.array([[0.2, 0.8]]), np.zeros((1, 2)), np.ones((1, 2)), np.ones(1)).tolist() == [
        [0.2, 0.8]
    ]


def test_project__one_held_down__divides_the_rest_in_proportion() -> None:
    shares = project(np.array([[0.7, 0.2, 0.1]]), np.zeros((1, 3)), np.array([[0.4, 1, 1]]), np.ones(1))

    np.testing.assert_allclose(shares, [[0.4, 0.4, 0.2]])


def test_project__one_lifted__takes_from_the_rest_in_proportion() -> None:
    shares = project(np.array([[0.02, 0.49, 0.49]]), np.array([[0.1, 0, 0]]), np.ones((1, 3)), np.ones(1))

    np.testing.assert_allclose(shares, [[0.1, 0.45, 0.45]])


@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 40))
def test_project__any_bounds_that_fit__sums_up_inside_them(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    target = np.maximum(rng.dirichlet(np.full(k, 10.0 ** rng.integers(-3, 3))), 1e-12)[None]
    inside = rng.dirichlet(np.ones(k))[None]
    low, high = inside * rng.random((1, k)), inside + (1 - inside) * rng.random((1, k)) * rng.integers(2)

    shares = project(target, low, high, np.ones(1))

    assert shares.sum() == pytest.approx(1, abs=1e-12)
    assert (shares >= low).all()
    assert (shares <= high).all()
    # the I-projection keeps the ratios of all that no bound holds
    free = (shares > low) & (shares < high)
    ratio = shares[free] / target[free]
    assert ratio.size == 0 or ratio.max() <= ratio.min() * (1 + 1e-9)


def test_round_shares__thirds__give_the_spare_tick_to_the_first() -> None:
    ticks = round_shares(np.full((1, 3), TICKS / 3), np.full((1, 3), float(TICKS)))

    assert ticks.tolist() == [[3334, 3333, 3333]]


def test_round_shares__variant_at_its_bound__gets_no_spare_tick() -> None:
    ticks = round_shares(np.array([[3333.0, 3333.4, 3333.6]]), np.array([[3333.0, 5000, 5000]]))

    assert ticks.tolist() == [[3333, 3333, 3334]]


@pytest.mark.parametrize(
    ("previous", "active", "expected"),
    [
        ([np.nan, np.nan], [True, True], [5000, 5000]),
        ([0.3, 0.7], [True, True], [3000, 7000]),
        ([0.2, 0.3, 0.5], [True, True, False], [4000, 6000, 0]),
        ([0.0, 0.0, 1.0], [True, True, False], [5000, 5000, 0]),
        ([0.25, 0.75, 0.0], [True, True, True], [2500, 7500, 0]),
    ],
    ids=["none", "as it was", "one retired", "all traffic retired", "one new"],
)
def test_previous_ticks__variants_come_and_go__divide_what_is_left(
    previous: list[float], active: list[bool], expected: list[int]
) -> None:
    found = previous_ticks(np.array([previous]), np.array([active]), np.zeros((1, len(active))))

    assert found.tolist() == [expected]


def test_previous_ticks__tick_to_spare__goes_to_the_preferred() -> None:
    preference = np.array([[0.2, 0.3, 0.5]])

    found = previous_ticks(np.full((1, 3), np.nan), np.ones((1, 3), dtype=bool), preference)

    assert found.tolist() == [[3333, 3333, 3334]]


def bounds_of(previous: list[int], floor: list[int], cap: int, low: bool = False) -> list[Floats]:
    k = len(previous)
    answer = bounds(
        np.array([previous], dtype=float),
        np.array([floor], dtype=float),
        np.array([float(cap)]),
        np.ones((1, k), dtype=bool),
        np.full((1, k), low),
    )
    return [array[0] for array in answer]


def test_bounds__cap__stays_within_it() -> None:
    low, high, _, cap = bounds_of([5000, 5000], [1000, 250], 2000)

    assert low.tolist() == [3000, 3000]
    assert high.tolist() == [7000, 7000]
    assert cap == 2000


def test_bounds__floor_above_the_cap__wins() -> None:
    low, high, _, _ = bounds_of([100, 9900], [1000, 250], 500)

    # the control has to rise by 900 at once, so the other falls by 900: the cap gives way to that
    assert low[0] == high[0] == 1000
    assert low[1] == 9000


def test_bounds__cap_that_cannot_hold__gives_way_to_the_smallest_that_can() -> None:
    assert bounds_of([100, 9900], [1000, 250], 500)[3] == 900
    assert bounds_of([0, 0, 10_000], [3000, 100, 100], 1)[3] == 3100


def test_floors__control__has_the_larger_of_its_two() -> None:
    active, control = np.ones((1, 2), dtype=bool), np.array([[True, False]])

    for control_floor, expected in ((0.10, [1000, 250]), (0.0, [250, 250])):
        answer = floors(active, control, np.array([[control_floor]]), np.array([[0.05]]))
        assert answer.tolist() == [expected]


def test_floors__retired__has_none() -> None:
    active = np.array([[True, False, True]])

    assert floors(active, ~active, np.array([[0.5]]), np.array([[0.1]])).tolist() == [[500, 0, 500]]


def test_floors__more_variants_than_ticks_to_round_up_with__round_down_and_fit() -> None:
    active = np.ones((1, 300), dtype=bool)

    answer = floors(active, np.arange(300)[None] == 0, np.array([[0.5]]), np.array([[0.49]]))

    # 4900 ticks for 300 are 16.33 each: rounded up they and the control's 5000 would be 10083
    assert answer.tolist() == [[5000] + [16] * 299]


def test_floors__settings_that_leave_no_room__are_a_value_error() -> None:
    active = np.ones((2, 3), dtype=bool)

    with pytest.raises(ValueError, match="control_floor and min_explore_rate ask for more than all traffic"):
        floors(active, np.arange(3)[None] == 0, np.array([[0.1], [0.9]]), np.array([[0.1], [0.6]]))


def test_project__all_but_traces_at_their_bounds__does_not_fall_back() -> None:
    # 9621 + 379 is everything already; the last digits left over belong to nobody
    shares = project(
        np.array([[1, 1e-12, 1e-12]]),
        np.array([[0, 379.0, 0]]),
        np.array([[9621.0, 1e4, 9621.0]]),
        np.array([1e4]),
    )

    np.testing.assert_allclose(shares, [[9621, 379, 0]], atol=1e-6)
