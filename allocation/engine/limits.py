"""Which split, of those the promises allow, is nearest to the target?

All limits are whole numbers of ticks, 0.0001 of the traffic: the unit shares are stored in. Bounds move
inward to whole ticks first, so that rounding inside them can break none. The allocation is the I-projection
of the target on the bounds, a_i = clip(k p_i, lo_i, hi_i) with the k that makes the sum one (Csiszar 1975),
then largest remainder. Shapes (N, K) unless said otherwise; absent variants have target, bounds and share 0.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from allocation.engine.posterior.beta import Floats, at, between
from allocation.engine.posterior.probability_best import Bools

TICKS = 10_000
# Far above the rounding of the projection (1e-10 ticks), far below anything that matters.
_SNAP = 1e-6
_LAST_DIGITS = 1e-13


class Bounds(NamedTuple):
    """The lowest and highest shares, in ticks.

    ``cap`` (N,) is the cap in force: wider than the setting where nothing else works.
    """

    low: Floats
    high: Floats
    floor: Floats
    cap: Floats


def floors(active: Bools, control: Bools, control_floor: Floats, min_explore_rate: Floats) -> Floats:
    """Compute the least each active variant gets, in ticks: its part of the exploration, or the control's floor.

    The exploration rounds up, but down where that would make the sum pass all traffic, as it can with more than
    100 variants. Raises ValueError where the settings leave no room even so.
    """
    count = np.maximum(active.sum(axis=-1, keepdims=True), 1)
    explore, for_control = min_explore_rate * TICKS / count, _up(control_floor * TICKS)
    floor = _floors(active, control, for_control, _up(explore))
    if np.count_nonzero(_sum(floor) > TICKS):
        floor = np.where(_sum(floor) > TICKS, _floors(active, control, for_control, _down(explore)), floor)
    if np.count_nonzero(_sum(floor) > TICKS):
        raise ValueError("control_floor and min_explore_rate ask for more than all traffic")
    return floor


def bounds(previous: Floats, floor: Floats, cap: Floats, active: Bools, low_evidence: Bools) -> Bounds:
    """Compute the bounds of each share, in ticks, around the ``previous`` ones (whole ticks, rows sum to TICKS).

    ``floor`` wins over the cap. Where the bounds cannot hold together, the cap (N,), in ticks, gives way to
    the smallest larger one that works. A variant with low evidence does not rise past 1/K.
    """
    asked = cap.round()
    low_cap, high_cap = asked, np.full_like(asked, TICKS)
    as_asked = _around(previous, floor, asked, active, low_evidence)
    works = _fits(*as_asked)
    if works.all():
        return Bounds(*as_asked, floor, asked)
    while not np.all(works | (low_cap + 1 >= high_cap)):
        middle = np.floor((low_cap + high_cap) / 2)
        fits = _fits(*_around(previous, floor, middle, active, low_evidence))
        high_cap = np.where(fits, middle, high_cap)
        low_cap = np.where(fits, low_cap, middle)
    in_force = np.where(works, asked, high_cap)
    return Bounds(*_around(previous, floor, in_force, active, low_evidence), floor, in_force)


def project(target: Floats, low: Floats, high: Floats, total: Floats) -> Floats:
    """Compute clip(k * target, low, high) with the k at which each row sums to ``total`` (N,).

    The sum rises with k, straight between the points low_i / p_i and high_i / p_i where a bound starts or
    stops to hold; the last such point below the total tells who is free, and k follows from them alone.
    """
    p = np.where(target > 0, target, 1.0)
    points = np.sort(np.concatenate([low / p, high / p], axis=-1), axis=-1)
    reached = between(points[..., None] * target[:, None], low[:, None], high[:, None]).sum(axis=-1)
    last = np.maximum((reached <= total[:, None] + 1e-12 * total[:, None]).sum(axis=-1) - 1, 0)
    k = at(points, last[:, None])
    # A share becomes free at low_i / p_i: the point, but for the last digit.
    free = (k * target >= low * (1 - _LAST_DIGITS)) & (k * target < high * (1 - _LAST_DIGITS)) & (target > 0)
    fixed = np.where(free, 0, between(k * target, low, high)).sum(axis=-1, keepdims=True)
    room = np.where(free, target, 0).sum(axis=-1, keepdims=True)
    # never back below the point: with only traces of target free, a last digit of the total would undo it all
    k = np.where(room > 0, np.maximum((total[:, None] - fixed) / np.where(room > 0, room, 1.0), k), k)
    return between(k * target, low, high)


def round_shares(shares: Floats, high: Floats, preference: Floats | None = None) -> Floats:
    """Round to whole ticks by largest remainder, none above ``high``; rows sum to TICKS.

    Ties go to the larger ``preference``, then to the earlier position.
    """
    near = shares.round()
    snapped = np.where(np.abs(shares - near) < _SNAP, near, shares)
    whole = np.floor(snapped)
    remainder = np.where(whole < high, (snapped - whole).round(6), -1.0)
    missing = TICKS - whole.sum(axis=-1, keepdims=True)
    ties = np.zeros_like(remainder) if preference is None else -preference
    rank = np.argsort(np.lexsort((ties, -remainder), axis=-1), axis=-1)
    return np.asarray(whole + (rank < missing))


def previous_ticks(previous: Floats, active: Bools, preference: Floats) -> Floats:
    """Yesterday's shares as ticks among today's variants: NaN rows (none) and rows of 0 become uniform.

    A retired variant leaves at once, and the others' shares are divided by their sum; a new one has 0. Ticks to
    spare go by ``preference``: by position they could move a cap that has to give way, and with it every share.
    """
    kept = np.where(active & ~np.isnan(previous), previous, 0)
    total = kept.sum(axis=-1, keepdims=True)
    count = np.maximum(active.sum(axis=-1, keepdims=True), 1)
    shares = np.where(total > 0, kept / np.where(total > 0, total, 1.0), active / count)
    return round_shares(shares * TICKS, np.where(active, float(TICKS), 0), preference)


def _floors(active: Bools, control: Bools, for_control: Floats, explore: Floats) -> Floats:
    return np.where(active, np.where(control, np.maximum(explore, for_control), explore), 0)


def _sum(floor: Floats) -> Floats:
    return np.asarray(floor.sum(axis=-1, keepdims=True))


def _around(
    previous: Floats, floor: Floats, cap: Floats, active: Bools, low_evidence: Bools
) -> tuple[Floats, Floats]:
    low = np.maximum(floor, previous - cap[:, None])
    even = np.ceil(TICKS / np.maximum(active.sum(axis=-1, keepdims=True), 1))
    ceiling = np.where(low_evidence, np.maximum(even, previous), TICKS)
    high = np.maximum(floor, np.minimum(ceiling, previous + cap[:, None]))
    return np.where(active, low, 0), np.where(active, high, 0)


def _fits(low: Floats, high: Floats) -> NDArray[np.bool_]:
    return np.asarray((low.sum(axis=-1) <= TICKS) & (high.sum(axis=-1) >= TICKS))


def _up(ticks: Floats) -> Floats:
    """Round up to whole ticks, forgiving the last digits of a product such as 0.07 * 10000."""
    return np.ceil(ticks.round(6))


def _down(ticks: Floats) -> Floats:
    return np.floor(ticks.round(6))
