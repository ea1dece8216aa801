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

    Where the goal is a value, ``successes`` are sums of values, ``squares`` (D, K) the sums of their squares.
    """

    days: Days
    impressions: Floats
    trials: Floats
    successes: Floats
    earlier_impressions: float = 0.0
    squares: Floats | None = None


@dataclass(frozen=True)
class Window:
    """The days that count: ``start`` and ``end`` day numbers, both inside; None where there is no data at
    all. ``days`` (D',): those that have a row. ``squares`` of values, where the goal is a value.
    """

    start: int | None
    end: int | None
    impressions_so_far: float
    trials: Floats
    successes: Floats
    days: Days
    squares: Floats | None = None


def select_window(history: History, target_day: int, window_days: int, maturity_days: int) -> Window:
    """The counts of step 1: trials and successes of shape (D', K), and all impressions up to the window's
    end.
    """
    reported = history.days[(history.days <= target_day) & (history.impressions.sum(axis=1) > 0)]
    if not reported.size:
        none = history.trials[:0]
        return Window(None, None, 0.0, none, none, history.days[:0], _cut(history.squares, slice(0)))
    end = int(reported[-1]) - maturity_days
    start = end - window_days + 1
    inside = (history.days >= start) & (history.days <= end)
    so_far = history.earlier_impressions + history.impressions[history.days <= end].sum()
    counts = history.trials[inside], history.successes[inside]
    squares = _cut(history.squares, inside)
    return Window(start, end, float(so_far), *counts, history.days[inside], squares)


def _cut(squares: Floats | None, days: slice | NDArray[np.bool_]) -> Floats | None:
    return None if squares is None else squares[days]
