"""Uplifts over the control as answers carry them: the interval that may be looked at every day."""

from dataclasses import dataclass

import numpy as np

from allocation.engine.analysis.always_valid import AlwaysValid

# Intervals of ratios end at 10^9.
_LARGEST_UPLIFT = 0.99e9


@dataclass(frozen=True)
class AlwaysValidUplift:
    """A 95% interval of the uplift that may be looked at every day, and the p-value that belongs to it.

    An end is None where the interval has none: the data allow any uplift in that direction.
    """

    low: float | None
    high: float | None
    p_value: float


def always_valid_uplifts(found: AlwaysValid, control: int) -> list[AlwaysValidUplift | None]:
    """Each variant's interval; None for the control itself."""
    return [
        None if i == control else AlwaysValidUplift(_finite(low), _finite(high), float(p))
        for i, (low, high, p) in enumerate(zip(found.low, found.high, found.p_value, strict=True))
    ]


def _finite(end: float) -> float | None:
    return float(end) if np.isfinite(end) and end < _LARGEST_UPLIFT else None
