"""How a lift came to be known: the interval of each day's data, and the one that may be looked at every day."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from allocation import engine
from allocation.engine.analysis.always_valid import always_valid_lift
from allocation.engine.analysis.uplift import compare_to_control
from allocation.ledger.inputs import AllocationInputs
from allocation.statistics.variants import AlwaysValidUplift, always_valid_uplifts

# Enough to see an interval narrow; each point is a decision of its own.
POINTS = 9
# Days by variants by points: beyond it fewer points are drawn, so that the page stays quick.
_WORK = 16_000


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
) -> list[list[LiftOn]]:
    """The lifts of each of ``variants`` (places) by the data up to each of ``dates``, by the settings of now."""
    control = next((n for n, v in enumerate(inputs.variants) if v.is_control), None)
    cut = [replace(inputs, table=inputs.table.between(dt.date.min, date)) for date in dates]
    decisions = engine.allocate_many([one.to_request() for one in cut])
    known = list(zip(dates, cut, decisions, strict=True))
    return [[_lift_on(*one, variant, control, always_valid) for one in known] for variant in variants]


def some_dates(inputs: AllocationInputs) -> list[dt.date]:
    """Choose dates with data, evenly from the first to the last that counts."""
    days = inputs.to_request().window().days
    most = POINTS if len(days) * len(inputs.variants) * POINTS <= _WORK else POINTS // 2
    places = np.unique(np.linspace(0, len(days) - 1, min(most, len(days))).round().astype(int))
    return [dt.date.fromordinal(int(days[place])) for place in places] if len(days) else []


def _lift_on(
    date: dt.date,
    inputs: AllocationInputs,
    decision: engine.Decision,
    variant: int,
    control: int | None,
    always_valid: bool,
) -> LiftOn:
    low = decision.low_evidence
    if control is None or low[variant]:
        return LiftOn(date, None, None, None, None, None)
    best = float(decision.probability_best[variant])
    if variant == control or low[control]:
        return LiftOn(date, None, None, None, best, None)
    pair = [variant, control]
    found = compare_to_control(decision.alpha[pair], decision.beta[pair], 1)
    return LiftOn(
        date,
        float(found.uplift[0]),
        float(found.uplift_low[0]),
        float(found.uplift_high[0]),
        best,
        _always_valid(inputs, decision, variant, control) if always_valid else None,
    )


def _always_valid(
    inputs: AllocationInputs, decision: engine.Decision, variant: int, control: int
) -> AlwaysValidUplift | None:
    pair = [variant, control]
    measures = inputs.table.measures
    trials, successes = inputs.reward.trials(measures)[:, pair], inputs.reward.successes(measures)[:, pair]
    squares = measures.value_squares[:, pair] if inputs.reward.is_value else None
    return always_valid_uplifts(always_valid_lift(trials, successes, 1, decision.dispersion, squares), 1)[0]
