import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation.engine import Settings
from allocation.engine.limits_preview import Reach, reach_of
from tests.allocation.engine.factories import allocate_request, make_history, make_request

CERTAIN = 1_000_000.0


def _days_in_practice(variants: int, chosen: Settings) -> tuple[float, int]:
    """The last variant surely the best: its share day by day until it rises no more, by the engine itself."""
    rates = [100.0] * (variants - 1) + [CERTAIN / 2]
    history = make_history([[CERTAIN] * variants], [rates])
    shares, days = np.full(variants, np.nan), 0
    while True:
        request = make_request(history, previous=shares, settings=chosen)
        found = allocate_request(request).shares
        if days and found[-1] <= shares[-1]:
            return float(shares[-1]), days
        shares, days = found, days + 1


def test_reach__four_variants_with_the_defaults__by_hand() -> None:
    found = reach_of(4, control_floor=0.10, min_explore_rate=0.05, max_daily_shift=0.20)

    # 1 - 0.10 - 2 * 0.0125; from 0.25 that takes 0.625 / 0.20 days
    assert found == Reach(control_floor=0.10, variant_floor=0.0125, ceiling=0.875, days=4, daily_cap=0.20)


def test_reach__no_room__raises() -> None:
    with pytest.raises(ValueError, match="more than all traffic"):
        reach_of(2, control_floor=0.9, min_explore_rate=0.5, max_daily_shift=0.2)


@settings(max_examples=60, deadline=None)
@given(
    variants=st.integers(2, 8),
    control_floor=st.integers(0, 50).map(lambda n: n / 100),
    min_explore_rate=st.integers(0, 49).map(lambda n: n / 100),
    max_daily_shift=st.integers(500, 10_000).map(lambda n: n / 10_000),
)
def test_reach__any_limits__is_what_the_engine_does(
    variants: int, control_floor: float, min_explore_rate: float, max_daily_shift: float
) -> None:
    chosen = Settings(
        control_floor=control_floor, min_explore_rate=min_explore_rate, max_daily_shift=max_daily_shift
    )

    found = reach_of(
        variants,
        control_floor=control_floor,
        min_explore_rate=min_explore_rate,
        max_daily_shift=max_daily_shift,
    )

    share, days = _days_in_practice(variants, chosen)
    # a target just short of certainty may leave a tick or two with others
    assert share == pytest.approx(found.ceiling, abs=0.0003)
    assert days >= found.days
    if control_floor <= 1 / variants:
        assert days <= max(found.days, 1) + 1
