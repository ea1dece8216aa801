"""Each variant's rate, and its uplift over the control: of the goal, and of every other metric."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from allocation import engine
from allocation.engine.analysis.always_valid import AlwaysValid, always_valid_lift
from allocation.engine.analysis.uplift import Comparison, compare_to_control
from allocation.ledger.entries import successes_in_window
from allocation.ledger.inputs import AllocationInputs
from allocation.ledger.table import DailyTable

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


@dataclass(frozen=True, kw_only=True)
class VariantRate:
    """A variant's counts in the window, its rate and its uplift; the uplifts are None for the control itself.

    Without ``enough_data`` they say little. Of a metric of value the rate is the value per trial, and the successes are
    the conversions that brought it.
    """

    variant_key: str
    variant_name: str
    is_control: bool
    is_active: bool
    trials: int
    successes: int
    rate: float
    rate_low: float
    rate_high: float
    enough_data: bool
    uplift: float | None
    uplift_low: float | None
    uplift_high: float | None
    uplift_always_valid: AlwaysValidUplift | None


def variant_rates(
    inputs: AllocationInputs,
    decision: engine.Decision | engine.Judged,
    history: DailyTable | None,
    compared: Comparison | None,
    *,
    where_likely: bool = False,
) -> list[VariantRate]:
    """Each variant's rate. ``history``: all days since the start, or None to leave out the always-valid intervals,
    which take a while; ``where_likely``: they are left out where the credible one holds 0. ``compared``: by
    ``compare_variants``.
    """
    control, successes = _control(inputs), successes_in_window(inputs, decision)
    chosen = _likely(decision, compared) if where_likely else range(len(inputs.variants))
    always_valid = _always_valid(inputs, decision, history, control, chosen)
    return [
        VariantRate(
            variant_key=variant.key,
            variant_name=variant.name,
            is_control=variant.is_control,
            is_active=variant.is_active,
            trials=int(decision.trials[i]),
            successes=successes[i],
            rate=float(decision.mean[i]),
            rate_low=float(decision.interval_low[i]),
            rate_high=float(decision.interval_high[i]),
            enough_data=not decision.low_evidence[i],
            uplift=None if compared is None or i == control else float(compared.uplift[i]),
            uplift_low=None if compared is None or i == control else float(compared.uplift_low[i]),
            uplift_high=None if compared is None or i == control else float(compared.uplift_high[i]),
            uplift_always_valid=always_valid[i],
        )
        for i, variant in enumerate(inputs.variants)
    ]


def compare_variants(
    inputs: AllocationInputs, decision: engine.Decision | engine.Judged
) -> Comparison | None:
    """Compare each variant with the control; None where there is no control."""
    control = _control(inputs)
    return None if control is None else compare_to_control(decision.alpha, decision.beta, control)


def is_control_bare(rows: Sequence[VariantRate]) -> bool:
    """True while the control has enough trials and not one success: a lift over it is made of the prior alone."""
    return any(row.is_control and row.enough_data and not row.successes for row in rows)


def _control(inputs: AllocationInputs) -> int | None:
    return next((i for i, variant in enumerate(inputs.variants) if variant.is_control), None)


def _always_valid(
    inputs: AllocationInputs,
    decision: engine.Decision | engine.Judged,
    history: DailyTable | None,
    control: int | None,
    places: Sequence[int],
) -> list[AlwaysValidUplift | None]:
    """The sequence of each variant of ``places`` over all mature days since the start; None for all others, and for
    the control itself.
    """
    found: list[AlwaysValidUplift | None] = [None for _ in inputs.variants]
    if control is None or history is None or not places:
        return found
    for place, uplift in zip(places, always_valid_of(inputs, decision, history, places), strict=True):
        found[place] = uplift
    return found


def _likely(decision: engine.Decision | engine.Judged, compared: Comparison | None) -> list[int]:
    """Find the judged variants whose credible interval leaves 0 out."""
    if compared is None:
        return []
    differs = (compared.uplift_low > 0) | (compared.uplift_high < 0)
    return np.flatnonzero(differs & ~decision.low_evidence).tolist()


class Effect(StrEnum):
    """The meaning of the intervals of a lift. Clearly: the one that may be looked at every day leaves 0 out as well."""

    CLEARLY_WORSE = "clearly worse"
    LIKELY_WORSE = "likely worse"
    OPEN = "open"
    LIKELY_BETTER = "likely better"
    CLEARLY_BETTER = "clearly better"

    @property
    def is_worse(self) -> bool:
        return self in {Effect.CLEARLY_WORSE, Effect.LIKELY_WORSE}

    @property
    def is_better(self) -> bool:
        return self in {Effect.CLEARLY_BETTER, Effect.LIKELY_BETTER}


def effect_of(row: VariantRate) -> Effect:
    """Judge the lift of a variant. The credible interval alone makes it likely: looked at every day, on many metrics,
    it leaves 0 out by chance far more often than in 5% of tests.
    """
    always = row.uplift_always_valid
    if row.uplift_high is not None and row.uplift_high < 0:
        is_clear = always is not None and always.high is not None and always.high < 0
        return Effect.CLEARLY_WORSE if is_clear else Effect.LIKELY_WORSE
    if row.uplift_low is not None and row.uplift_low > 0:
        is_clear = always is not None and always.low is not None and always.low > 0
        return Effect.CLEARLY_BETTER if is_clear else Effect.LIKELY_BETTER
    return Effect.OPEN


def always_valid_of(
    inputs: AllocationInputs,
    decision: engine.Decision | engine.Judged,
    history: DailyTable,
    places: Sequence[int],
) -> list[AlwaysValidUplift | None]:
    """The intervals that may be looked at every day, of the variants at these places alone."""
    end, control = decision.window.end, _control(inputs)
    if control is None or end is None:
        return [None for _ in places]
    mature = history.between(dt.date.min, dt.date.fromordinal(end)).measures
    columns = [control, *places]
    trials, successes = inputs.reward.trials(mature), inputs.reward.successes(mature)
    squares = mature.value_squares[:, columns] if inputs.reward.is_value else None
    found = always_valid_lift(
        trials[:, columns],
        successes[:, columns],
        0,
        decision.dispersion,
        squares,
        of_all=len(inputs.variants),
    )
    uplifts = always_valid_uplifts(found, 0)[1:]
    return [None if place == control else uplift for place, uplift in zip(places, uplifts, strict=True)]


def always_valid_uplifts(found: AlwaysValid, control: int) -> list[AlwaysValidUplift | None]:
    """Each variant's interval; None for the control itself."""
    return [
        None if i == control else AlwaysValidUplift(_finite(low), _finite(high), float(p))
        for i, (low, high, p) in enumerate(zip(found.low, found.high, found.p_value, strict=True))
    ]


def _finite(end: float) -> float | None:
    return float(end) if np.isfinite(end) and end < _LARGEST_UPLIFT else None
