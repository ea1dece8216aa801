"""Other metrics than the goal, in words: how the leader does on them."""

from collections.abc import Sequence
from typing import NamedTuple

from django.utils.translation import gettext as _

from allocation.other_metrics import OF_VISITORS, compared_on, worse_rates
from allocation.statistics.results import RankedVariant, Results
from allocation.statistics.secondary import SecondaryMetric
from allocation.statistics.variants import Effect, effect_of
from dashboard.formatting import format_lift, format_lifts


def interval_words(low: float, high: float) -> dict[str, str]:
    """Write the ends of a lift's interval, by the names that sentences have for them."""
    return dict(zip(("low", "high"), format_lifts(low, high), strict=True))


def metric_lines(results: Results, leader: RankedVariant) -> list[str]:
    """Say of the guarded metrics, else of the first of visitors, how the leader does."""
    lines = []
    for metric in _metrics_to_name(results):
        row = compared_on(metric, leader.statistics.variant_key)
        if row is None or row.uplift is None or row.uplift_low is None or row.uplift_high is None:
            continue
        values = {
            "metric": metric.metric.label,
            "lift": format_lift(row.uplift),
            **interval_words(row.uplift_low, row.uplift_high),
            "word": effect_word(effect_of(row)),
        }
        lines.append(_("%(metric)s: %(lift)s (%(low)s to %(high)s), %(word)s.") % values)
    return lines


def _metrics_to_name(results: Results) -> list[SecondaryMetric]:
    guarding = results.analysis.inputs.guarding
    guarded = {rule.metric for rule in guarding.rules} if guarding else set()
    secondary = results.analysis.statistics.secondary
    chosen = [m for m in secondary if m.metric in guarded]
    return chosen or [m for m in secondary if m.metric in OF_VISITORS][:1]


class Worse(NamedTuple):
    """A metric of visitors on which a variant is below the control. ``is_clear``: beyond what a daily look may find."""

    metric: str
    interval: str
    is_clear: bool


def worse_metrics(results: Results, row: RankedVariant) -> list[Worse]:
    """Name the metrics of visitors on which a variant is below the control, clearly or likely."""
    said = _("95%% interval %(low)s to %(high)s")
    return [
        Worse(str(one.metric.label), said % interval_words(one.low, one.high), one.is_clear)
        for one in worse_rates(results.analysis.statistics.secondary, row.statistics.variant_key)
    ]


def names_of(worse: Sequence[Worse]) -> str:
    """List what is clearly worse; where nothing is, what is likely so, with its interval."""
    clear = [one.metric for one in worse if one.is_clear]
    return ", ".join(clear or [f"{one.metric} ({one.interval})" for one in worse])


def effect_word(effect: Effect) -> str:
    """Say in a word what the intervals of a lift mean."""
    words = {
        Effect.CLEARLY_WORSE: _("clearly worse"),
        Effect.LIKELY_WORSE: _("likely worse"),
        Effect.OPEN: _("no clear difference"),
        Effect.LIKELY_BETTER: _("likely better"),
        Effect.CLEARLY_BETTER: _("clearly better"),
    }
    return words[effect]
