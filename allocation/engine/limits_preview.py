"""The meaning of floors and cap for a number of variants, before there is any data.

The least each variant keeps, the most a winning one can get, and how many days that takes from an even split.
Without computing the days one by one: while the winner has room, the others together can give up at least the
cap (each of them at most the cap, and all of them what is missing), so it rises by the cap each day. A control
floor above the even split costs it a day or two at the start: ``days`` is the earliest there can be.
"""

import math
from dataclasses import dataclass

import numpy as np

from allocation.engine.limits import TICKS, floors


@dataclass(frozen=True)
class Reach:
    """Shares and the cap are fractions of the traffic.

    ``ceiling``: the share of a variant that is not the control and surely the best.
    """

    control_floor: float
    variant_floor: float
    ceiling: float
    days: int
    daily_cap: float


def reach_of(
    variants: int, *, control_floor: float, min_explore_rate: float, max_daily_shift: float
) -> Reach:
    """Preview the limits for at least two variants, the first of them the control.

    Raises ValueError where the settings leave no room for every floor.
    """
    active = np.ones((1, variants), dtype=bool)
    control = np.arange(variants)[None] == 0
    floor = floors(active, control, np.array([[control_floor]]), np.array([[min_explore_rate]]))[0]
    ceiling = TICKS - floor[:-1].sum()
    # the last variant has no more than others to begin with: the even split's spare ticks go to the first ones
    to_go = max(ceiling - TICKS // variants, 0)
    days = math.ceil(to_go / round(max_daily_shift * TICKS))
    return Reach(
        float(floor[0] / TICKS), float(floor[-1] / TICKS), float(ceiling / TICKS), days, max_daily_shift
    )
