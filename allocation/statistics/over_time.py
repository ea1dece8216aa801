"""How a lift came to be known: the interval of each day's data, and the one that may be looked at every day."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from allocation import engine
from allocation.engine.analysis.always_valid import always_valid_lift
from allocation.engine.analysis.uplift import compare_pairs
from allocation.ledger.inputs import AllocationInputs
from allocation.statistics.variants import AlwaysValidUplift, always_valid_uplifts

# Enough to see an interval narrow; each point is a decision of its own.
POINTS = 7
# Days by variants by points: beyond it fewer points are drawn, so that the page stays quick.
_WORK = 16_000
# The chances to be best of a hundred variants take longer than all else of a point.
_MANY_VARIANTS = 50


@dataclass(frozen=True)
class LiftOn:
    """A variant's lift by the data up to ``date``; the numbers are None where it or the control is not judged."""

    date: dt.date
    lift: float | None
    low: float | None
    high: float | None
    probability_best: float | None
    always_valid: AlwaysValidUplift | None


def lifts_on(
    inputs: AllocationInputs,
    dates: Sequence[dt.date],
    variants: Sequence[int],
    *,
    always_valid: bool = True,
    of_all: engine.Decision | None = None,
) -> list[list[LiftOn]]:
    """The lifts of each of ``variants`` (places) by the data up to each of ``dates``, by the settings of now.

    ``of_all``: the decision by all of the data, where it was made already.
    """
    control = next((n for n, v in enumerate(inputs.variants) if v.is_control), None)
    cut = [replace(inputs, table=inputs.table.between(dt.date.min, date)) for date in dates]
    is_whole = [of_all is not None and len(one.table.days) == len(inputs.table.days) for one in cut]
    others = engine.allocate_many(
        [one.to_request() for one, whole in zip(cut, is_whole, strict=True) if not whole]
    )
    left = iter(others)
    decisions = [of_all if of_all and whole else next(left) for whole in is_whole]
    known = [_Known(*one) for one in zip(dates, cut, decisions, strict=True)]
    return [_lifts(known, variant, control, always_valid) for variant in variants]


def some_dates(inputs: AllocationInputs) -> list[dt.date]:
    """Choose dates with data, evenly from the first to the last that counts."""
    days = inputs.to_request().window().days
    variants = len(inputs.variants)
    is_quick = variants <= _MANY_VARIANTS and len(days) * variants * POINTS <= _WORK
    most = POINTS if is_quick else POINTS // 2
    places = np.unique(np.linspace(0, len(days) - 1, min(most, len(days))).round().astype(int))
    return [dt.date.fromordinal(int(days[place])) for place in places] if len(days) else []


class _Known(NamedTuple):
    """The data up to a day, and the decision that they make."""

    date: dt.date
    inputs: AllocationInputs
    decision: engine.Decision


class _Lift(NamedTuple):
    """The result of a comparison with the control; None where there is none."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    always_valid: AlwaysValidUplift | None = None


def _lifts(known: Sequence[_Known], variant: int, control: int | None, always_valid: bool) -> list[LiftOn]:
    """Compare one variant with the control, where both are judged and the control has a success."""
    found: dict[dt.date, _Lift] = {}
    if control is not None and control != variant:
        pair = [variant, control]
        judged = [
            one
            for one in known
            if not one.decision.low_evidence[pair].any() and one.decision.successes[control] > 0
        ]
        found = _compare(judged, pair, always_valid)
    return [
        LiftOn(one.date, lift.value, lift.low, lift.high, _chance(one.decision, variant), lift.always_valid)
        for one in known
        for lift in [found.get(one.date, _Lift())]
    ]


def _chance(decision: engine.Decision, variant: int) -> float | None:
    return None if decision.low_evidence[variant] else float(decision.probability_best[variant])


def _compare(judged: Sequence[_Known], pair: list[int], always_valid: bool) -> dict[dt.date, _Lift]:
    """Compare the first of the pair with the second on all days at once."""
    if not judged:
        return {}
    alpha = np.array([one.decision.alpha[pair] for one in judged])
    beta = np.array([one.decision.beta[pair] for one in judged])
    found = compare_pairs(alpha[:, 0], beta[:, 0], alpha[:, 1], beta[:, 1])
    return {
        one.date: _Lift(
            float(found.uplift[n]),
            float(found.uplift_low[n]),
            float(found.uplift_high[n]),
            _always_valid(one, pair) if always_valid else None,
        )
        for n, one in enumerate(judged)
    }


def _always_valid(one: _Known, pair: list[int]) -> AlwaysValidUplift | None:
    measures, reward = one.inputs.table.measures, one.inputs.reward
    trials, successes = reward.trials(measures)[:, pair], reward.successes(measures)[:, pair]
    squares = measures.value_squares[:, pair] if reward.is_value else None
    found = always_valid_lift(
        trials, successes, 1, one.decision.dispersion, squares, of_all=len(one.inputs.variants)
    )
    return always_valid_uplifts(found, 1)[0]
