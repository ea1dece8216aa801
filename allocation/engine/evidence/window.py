"""Which days count?

The window is the ``window_days`` days that end at data_through: the latest day up to the target day with
impressions, less ``maturity_days``, during which outcomes still arrive. It hangs on the data, not on the
clock, so that late reporting gives the answer that timely reporting would have given.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocation.engine.posterior.beta import Floats

Days = NDArray[np.int64]


@dataclass(frozen=True)
class History:
    """Daily counts of one experiment with K variants, retired ones too.

    ``days``: (D,) day numbers, rising, one for each date with a row. ``impressions``, ``trials``,
    ``successes``: (D, K) counts, 0 where a variant has no row. ``earlier_impressions``: all impressions
    before the first of these days, which count for the warm-up alone.

    Where the goal is a value, ``successes`` are sums of values, ``squares`` (D, K) the sums of their squares and
    ``orders`` (D, K) their numbers, where those are known.
    """

    days: Days
    impressions: Floats
    trials: Floats
    successes: Floats
    earlier_impressions: float = 0.0
    squares: Floats | None = None
    orders: Floats | None = None


@dataclass(frozen=True)
class Window:
    """The days that count: ``start`` and ``end`` day numbers, both inside; None where there is no data at
    all. ``days`` (D',): those that have a row. ``squares`` and ``orders`` of values, where the goal is a value.
    """

    start: int | None
    end: int | None
    impressions_so_far: float
    trials: Floats
    successes: Floats
    days: Days
    squares: Floats | None = None
    orders: Floats | None = None


def select_window(history: History, target_day: int, window_days: int, maturity_days: int) -> Window:
    """The counts of step 1: trials and successes of shape (D', K), and all impressions up to the window's
    end.
    """
    reported = history.days[(history.days <= target_day) & (history.impressions.sum(axis=1) > 0)]
    if not reported.size:
        none = history.trials[:0]
        of_values = (_cut(sums, slice(0)) for sums in (history.squares, history.orders))
        return Window(None, None, 0.0, none, none, history.days[:0], *of_values)
    end = int(reported[-1]) - maturity_days
    start = end - window_days + 1
    inside = (history.days >= start) & (history.days <= end)
    so_far = history.earlier_impressions + history.impressions[history.days <= end].sum()
    counts = history.trials[inside], history.successes[inside]
    of_values = (_cut(sums, inside) for sums in (history.squares, history.orders))
    return Window(start, end, float(so_far), *counts, history.days[inside], *of_values)


def _cut(sums: Floats | None, days: slice | NDArray[np.bool_]) -> Floats | None:
    return None if sums is None else sums[days]
