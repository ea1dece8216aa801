"""Where does a curve cross 0 on the way from one place to another?

Steps of inverse quadratic interpolation where three points promise one, else of halving: about a quarter of the steps
that halving alone takes. The curve may be flat, steep or end in a plateau; it crosses once.

Source: Chandrupatla, "A new hybrid quadratic/bisection algorithm for finding the zero of a nonlinear function without
using derivatives" (1997).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

_MAX_STEPS = 100
# What is shown of the places has three decimals.
_CLOSE = 1e-12


class _Point(NamedTuple):
    x: float
    height: float


def crossing(height: Callable[[float], float], inner: float, outer: float) -> float:
    """The place where ``height`` rises to 0 between ``inner`` and ``outer``.

    The inner place itself where it is not below 0 there, the outer one where it is below 0 even there.
    """
    newest, other = _Point(outer, height(outer)), _Point(inner, height(inner))
    if other.height >= 0:
        return inner
    if newest.height < 0:
        return outer
    part = 0.5
    for _ in range(_MAX_STEPS):
        at = newest.x + part * (other.x - newest.x)
        found = _Point(at, height(at))
        if (found.height < 0) == (newest.height < 0):
            newest, last = found, newest
        else:
            newest, other, last = found, newest, other
        distance = abs(other.x - newest.x)
        if distance <= 2 * _CLOSE:
            break
        least = _CLOSE / distance
        part = min(max(_part(newest, other, last), least), 1 - least)
    return min(newest, other, key=lambda point: abs(point.height)).x


def _part(newest: _Point, other: _Point, last: _Point) -> float:
    """How far the next step goes from the newest point to the one on the other side."""
    across, beyond = newest.height - other.height, last.height - other.height
    if not beyond or last.height == newest.height:
        return 0.5
    place, rise = (newest.x - other.x) / (last.x - other.x), across / beyond
    if not 1 - math.sqrt(1 - place) < rise < math.sqrt(place):
        return 0.5
    slope = (last.x - newest.x) / (other.x - newest.x)
    return (
        newest.height / across * last.height / beyond
        + slope * newest.height / (last.height - newest.height) * other.height / beyond
    )
