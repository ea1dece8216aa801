"""The promises of every allocation, checked from what it answered alone."""

import numpy as np

from allocation.engine import Decision, Request
from allocation.engine.limits import TICKS
from allocation.engine.posterior.beta import Floats


def promises_broken(request: Request, answer: Decision) -> list[str]:
    """The names of those that do not hold."""
    chosen, active, k = request.settings, request.active, int(request.active.sum())
    ticks = np.round(answer.shares * TICKS).astype(int)
    previous = np.round(answer.previous * TICKS).astype(int)
    explore = chosen.min_explore_rate / k * TICKS
    floor = np.where(active, explore, 0.0)
    if request.control is not None:
        floor[request.control] = max(floor[request.control], chosen.control_floor * TICKS)
    cap = round(answer.cap * TICKS)
    step = np.abs(ticks - previous)
    forced = (ticks == np.ceil(np.round(floor, 6))) & (ticks > previous)
    broken = {
        "whole ticks": not np.array_equal(ticks / TICKS, answer.shares),
        "sum": ticks.sum() != TICKS or previous.sum() != TICKS,
        "inactive": ticks[~active].any(),
        "floor": (ticks < floor - 1e-6).any(),
        "cap": (active & (step > cap) & ~forced).any(),
        "cap wider than asked": cap > round(chosen.max_daily_shift * TICKS)
        and cap_could_hold(request, previous, floor),
        "finite": not all(np.isfinite(getattr(answer, name)[active]).all() for name in NUMBERS),
        "remaining": not (np.isfinite(answer.value_remaining) and answer.value_remaining >= 0),
        "silent variant rises": (
            active
            & (answer.effective_trials * answer.evidence_kept <= 0)
            & (ticks > np.maximum.reduce([previous, np.full(len(ticks), -(-TICKS // k)), np.ceil(floor)]))
        ).any(),
    }
    return [name for name, wrong in broken.items() if wrong]


NUMBERS = ("effective_trials", "evidence_kept", "alpha", "beta", "interval_low", "interval_high",
           "probability_best", "expected_loss", "target")  # fmt: skip


def cap_could_hold(request: Request, previous: Floats, floor: Floats) -> bool:
    """Whether the asked cap leaves room for a sum of one, even if no variant had evidence enough to lead."""
    cap, up = round(request.settings.max_daily_shift * TICKS), np.ceil(np.round(floor, 6))
    ceiling = np.maximum(-(-TICKS // int(request.active.sum())), previous)
    low = np.where(request.active, np.maximum(up, previous - cap), 0)
    high = np.where(request.active, np.maximum(up, np.minimum(previous + cap, ceiling)), 0)
    return bool(low.sum() <= TICKS <= high.sum())
