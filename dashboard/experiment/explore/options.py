"""Options of the explore tab: how many days, which metric, which variant, which two dates."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from allocation.ledger.table import DailyTable
from allocation.statistics.experiment import Analysis
from allocation.statistics.secondary import is_in
from experiments.metrics import Reward
from experiments.models import Variant
from experiments.text import parse_date

RANGES = (14, 28)


@dataclass(frozen=True)
class Options:
    """``days``: of the latest data, or None for all. ``first`` and ``second``: dates to compare."""

    days: int | None
    metric: Reward
    metrics: Sequence[Reward]
    variant: Variant | None
    first: dt.date | None
    second: dt.date | None


def options_of(query: Mapping[str, str], analysis: Analysis, variants: Sequence[Variant]) -> Options:
    """Read the query; what it does not name, or cannot be, is as on the first visit."""
    goal = analysis.inputs.reward
    metrics = [goal, *(m for m in Reward if m != goal and is_in(m, analysis.history))]
    days = query.get("range", "")
    return Options(
        days=int(days) if days in map(str, RANGES) else None,
        metric=next((m for m in metrics if m.value == query.get("metric")), goal),
        metrics=metrics,
        variant=_variant(query.get("variant", ""), analysis, variants),
        first=_date(query.get("from", ""), analysis.history),
        second=_date(query.get("to", ""), analysis.history),
    )


def _variant(key: str, analysis: Analysis, variants: Sequence[Variant]) -> Variant | None:
    """Take the variant asked for, else the best that is not the control."""
    others = [variant for variant in variants if not variant.is_control]
    asked = next((variant for variant in others if variant.key == key), None)
    chances = {v.variant_key: v.probability_best * v.enough_data for v in analysis.statistics.variants}
    return asked or max(others, key=lambda v: chances.get(v.key, 0.0), default=None)


def _date(text: str, history: DailyTable) -> dt.date | None:
    date = parse_date(text)
    if date is None or not history.days.size:
        return None
    return min(max(date, history.dates[0]), history.dates[-1])
