"""Where do curves cross 0 on the way from one place to another?

Steps of inverse quadratic interpolation where three points promise one, else of halving: about a quarter of the steps
that halving alone takes. A curve may be flat, steep or end in a plateau; it crosses once. Each takes the steps that it
would by itself.

Source: Chandrupatla, "A new hybrid quadratic/bisection algorithm for finding the zero of a nonlinear function without
using derivatives" (1997).
Shapes: (V,), a place or a height of each curve.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.probability_best import Bools

_MAX_STEPS = 100
# What is shown of the places has three decimals.
_CLOSE = 1e-12


class _Points(NamedTuple):
    x: Floats
    height: Floats

    def where(self, chosen: Bools, others: "_Points") -> "_Points":
        return _Points(*(np.where(chosen, own, other) for own, other in zip(self, others, strict=True)))


def crossings(height: Callable[[Floats], Floats], inner: Floats, outer: Floats) -> Floats:
    """The places where each ``height`` rises to 0 between ``inner`` and ``outer``.

    The inner place itself where it is not below 0 there, the outer one where it is below 0 even there.
    """
    newest, other = _Points(outer, height(outer)), _Points(inner, height(inner))
    is_inner, is_outer = other.height >= 0, (other.height < 0) & (newest.height < 0)
    going, part = ~(is_inner | is_outer), np.full(len(inner), 0.5)
    for _ in range(_MAX_STEPS):
        if not going.any():
            break
        at = np.where(going, newest.x + part * (other.x - newest.x), newest.x)
        found = _Points(at, height(at))
        same = (found.height < 0) == (newest.height < 0)
        last = newest.where(same | ~going, other)
        other = other.where(same | ~going, newest)
        newest = found.where(going, newest)
        distance = np.abs(other.x - newest.x)
        going &= distance > 2 * _CLOSE
        least = _CLOSE / np.maximum(distance, 2 * _CLOSE)
        part = np.minimum(np.maximum(_part(newest, other, last), least), 1 - least)
    nearest = newest.where(np.abs(newest.height) <= np.abs(other.height), other).x
    return np.where(is_inner, inner, np.where(is_outer, outer, nearest))


@np.errstate(divide="ignore", invalid="ignore", over="ignore")  # where halving is taken instead
def _part(newest: _Points, other: _Points, last: _Points) -> Floats:
    """How far the next step goes from each newest point to the one on the other side."""
    across, beyond = newest.height - other.height, last.height - other.height
    place, rise = (newest.x - other.x) / (last.x - other.x), across / beyond
    promising = (beyond != 0) & (last.height != newest.height)
    promising &= (1 - np.sqrt(1 - place) < rise) & (rise < np.sqrt(place))
    slope = (last.x - newest.x) / (other.x - newest.x)
    step = (
        newest.height / across * last.height / beyond
        + slope * newest.height / (last.height - newest.height) * other.height / beyond
    )
    return np.where(promising, step, 0.5)
