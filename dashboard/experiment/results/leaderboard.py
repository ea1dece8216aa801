"""The leaderboard: variants by rank, each with the interval of its lift drawn on one axis."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

import numpy as np
from django.utils.translation import gettext as _

from allocation.ledger.guards import Guarding, GuardRule
from allocation.limits import NO_LIMIT
from allocation.models import CLOSING, AllocationShare, Kind
from allocation.other_metrics import compared_on
from allocation.statistics.experiment import VariantStatistics
from allocation.statistics.results import RankedVariant, Results
from allocation.statistics.secondary import SecondaryMetric
from allocation.statistics.variants import VariantRate, effect_of
from dashboard.charts import variant_colours
from dashboard.experiment.folding import fold
from dashboard.experiment.results.other_metrics import effect_word
from dashboard.experiment.traffic.explain import limit_text
from dashboard.formatting import format_shares
from experiments.campaign.models import Guard, GuardAction
from experiments.metrics import Reward
from experiments.models import Experiment, Status, Variant
from experiments.text import format_exact, format_percent

# Above so many all rows are low.
_CONDENSED_ABOVE = 8
# A lift of more than so many times the largest of a judged variant is drawn to the edge.
_FARTHEST = 3.0
_LEAST_REACH = 0.02


class Forest(NamedTuple):
    """An interval on the axis, in percent of its width; ``tone``: better, worse or open. The control's is a point."""

    low: str
    width: str
    point: str
    zero: str
    tone: str
    cut_low: bool
    cut_high: bool


class Axis(NamedTuple):
    """The ends of the axis of lifts, and its ticks: place in percent, and what is written there."""

    low: float
    high: float
    ticks: list[tuple[str, str, str]]

    def at(self, lift: float) -> float:
        return 100 * min(max((lift - self.low) / (self.high - self.low), 0.0), 1.0)


class MetricCell(NamedTuple):
    """A variant's lift in another metric, and a word on it. ``effect``: better, worse, or empty where it is open."""

    row: VariantRate
    word: str
    effect: str


@dataclass(frozen=True)
class Column:
    """Another metric; ``guard`` says what is guarded, if anything."""

    goal: Reward
    currency: str
    guard: str


@dataclass(frozen=True)
class Row:
    """One variant. ``forest`` is None where there is no lift; ``metrics``: others than the goal.

    ``is_judged``: there is enough data to name a rate. ``is_certain``: it is the best with 95% probability, and nothing
    speaks against saying so.
    """

    variant: Variant
    colour: str
    rank: int | None
    found: VariantStatistics
    forest: Forest | None
    share: str
    limit: str
    metrics: list[tuple[Column, MetricCell | None]]
    is_judged: bool
    is_certain: bool

    @property
    def observed(self) -> float:
        """Successes, or the value that came of the trials."""
        return self.found.successes if self.found.value_sum is None else self.found.value_sum


@dataclass(frozen=True)
class Leaderboard:
    """The rows, the axis of their lifts, and the columns of other metrics."""

    rows: Sequence[Row]
    folded: Sequence[Row]
    axis: Axis | None
    columns: list[Column]
    condensed: bool

    @property
    def all_rows(self) -> list[Row]:
        return [*self.rows, *self.folded]

    @property
    def has_other_metrics(self) -> bool:
        """True where a table of its own says more of other metrics than the rows do."""
        known = any(cell and cell.row.uplift is not None for row in self.rows for _, cell in row.metrics)
        return known and len(self.columns) > 1


def leaderboard_of(experiment: Experiment, results: Results) -> Leaderboard:
    """Lay out the ranked variants."""
    variants = {variant.key: variant for variant in experiment.variants.all()}
    colours = variant_colours(variants.values())
    statistics, shares = results.analysis.statistics, _shares(results)
    has_lifts = statistics.has_lifts and results.has_successes
    axis = _axis([_interval(row) for row in results.ranked] if has_lifts else [])
    guards = _guards(experiment, results.analysis.inputs.guarding)
    secondary = sorted(statistics.secondary, key=lambda metric: metric.metric.value not in guards)
    columns = _columns(experiment.currency, secondary, guards)
    rows = [
        Row(
            variant=(variant := variants[row.statistics.variant_key]),
            colour=colours[variant.pk],
            rank=row.rank,
            found=row.statistics,
            forest=_forest(row, axis) if axis else None,
            share=shares.get(row.statistics.variant_key, ""),
            limit=_limit(row.share, results),
            metrics=[
                (column, _cell(metric, row.statistics.variant_key))
                for column, metric in zip(columns, secondary, strict=True)
            ],
            is_judged=row.statistics.enough_data and results.has_successes,
            is_certain=row.rank == 1 and results.is_certain and not results.is_doubtful,
        )
        for row in results.ranked
    ]
    condensed, table = len(rows) > _CONDENSED_ABOVE, fold(rows)
    return Leaderboard(
        rows=table.shown,
        folded=table.folded,
        axis=axis,
        columns=columns,
        condensed=condensed,
    )


def _limit(share: AllocationShare | None, results: Results) -> str:
    """Name what holds a share itself; which shares make room for others is under Traffic."""
    kind = results.allocation.kind if results.allocation else ""
    if share is None or kind in CLOSING or (kind == Kind.OPTIMIZED and share.bound == NO_LIMIT):
        return ""
    return limit_text(share, kind)


def _shares(results: Results) -> dict[str, str]:
    known = [row for row in results.ranked if row.share is not None]
    texts = format_shares([row.share.share for row in known if row.share is not None])
    return {row.statistics.variant_key: text for row, text in zip(known, texts, strict=True)}


class _Interval(NamedTuple):
    lift: float
    low: float
    high: float


def _interval(row: RankedVariant) -> _Interval | None:
    found = row.statistics
    if row.rank is None or found.uplift is None or found.uplift_low is None or found.uplift_high is None:
        return None
    return _Interval(found.uplift, found.uplift_low, found.uplift_high)


def _axis(intervals: Sequence[_Interval | None]) -> Axis | None:
    """Reach over all intervals, but not much farther than the lifts themselves, or than the narrowest of them."""
    known = [interval for interval in intervals if interval]
    if not known:
        return None
    narrowest = min(max(-interval.low, interval.high) for interval in known)
    reach = max(_LEAST_REACH, narrowest, _FARTHEST * max(abs(interval.lift) for interval in known))
    low = min(0.0, *(max(interval.low, -reach) for interval in known))
    high = max(0.0, *(min(interval.high, reach) for interval in known))
    room = max(0.08 * (high - low), 0.001)
    low, high = low - room, high + room
    bare = Axis(low, high, [])
    step = _step(high - low)
    first = int(np.ceil(low / step))
    places = [n * step for n in range(first, int(np.floor(high / step)) + 1)]
    ticks = [(_at(bare, place), _tick(place, step), _anchor(bare.at(place))) for place in places]
    return bare._replace(ticks=ticks)


def _tick(lift: float, step: float) -> str:
    """Write a tick with the decimals of its step."""
    decimals = 0 if (100 * step) % 1 < 1e-9 else 1
    sign = "+" if lift > step / 2 else "−" if lift < -step / 2 else ""
    return f"{sign}{format_percent(abs(lift), decimals)}"


def _step(width: float) -> float:
    """Choose a round step that gives at most four ticks."""
    power = 10.0 ** np.floor(np.log10(width / 3))
    return float(next(n * power for n in (1, 2, 2.5, 5, 10) if width / (n * power) <= 3.5))


def _anchor(at: float) -> str:
    return "start" if at < 12 else "end" if at > 88 else "middle"


def _at(axis: Axis, lift: float) -> str:
    return f"{axis.at(lift):.2f}%"


def _forest(row: RankedVariant, axis: Axis) -> Forest | None:
    interval = _interval(row)
    if interval is None:
        is_baseline = row.rank is not None and row.statistics.is_control
        return Forest("", "", _at(axis, 0.0), _at(axis, 0.0), "open", False, False) if is_baseline else None
    low, high = axis.at(interval.low), axis.at(interval.high)
    tone = "better" if interval.low > 0 else "worse" if interval.high < 0 else "open"
    return Forest(
        low=f"{low:.2f}%",
        width=f"{max(high - low, 0.4):.2f}%",
        point=_at(axis, interval.lift),
        zero=_at(axis, 0.0),
        tone=tone,
        cut_low=interval.low < axis.low,
        cut_high=interval.high > axis.high,
    )


def _cell(metric: SecondaryMetric, key: str) -> MetricCell | None:
    """Give the lift where both the variant and the control have enough data, and the control a success."""
    row = compared_on(metric, key)
    if row is None:
        return None
    effect = effect_of(row)
    look = "worse" if effect.is_worse else "better" if effect.is_better else ""
    return MetricCell(row, "" if row.uplift is None else effect_word(effect), look)


def _guards(experiment: Experiment, guarding: Guarding | None) -> dict[str, Guard | GuardRule]:
    """Tell what is guarded, by metric; of an experiment that ended by one query, for its decisions guard nothing."""
    if guarding is not None:
        return {rule.metric.value: rule for rule in guarding.rules}
    if experiment.status != Status.COMPLETED or not getattr(experiment, "has_guards", True):
        return {}
    return {guard.metric: guard for guard in experiment.guards.all()}


def _columns(
    currency: str, secondary: Sequence[SecondaryMetric], guards: dict[str, Guard | GuardRule]
) -> list[Column]:
    return [
        Column(metric.metric, currency, _guard_text(guards.get(metric.metric.value))) for metric in secondary
    ]


def _guard_text(guard: Guard | GuardRule | None) -> str:
    if guard is None:
        return ""
    fall = f"{format_exact(Decimal(str(guard.max_fall)))}%"
    if guard.action == GuardAction.ACT:
        return _("Guard: at most %(fall)s below the control, else the control gets all traffic") % {
            "fall": fall
        }
    return _("Guard: at most %(fall)s below the control, else a notification") % {"fall": fall}
