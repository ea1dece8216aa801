"""Other metrics than the goal, in words: how the leader does on them."""

from collections.abc import Sequence
from typing import NamedTuple

from django.utils.translation import gettext as _

from allocation.statistics.results import RankedVariant, Results
from allocation.statistics.secondary import SecondaryMetric
from allocation.statistics.variants import Effect, VariantRate, effect_of, is_control_bare
from dashboard.formatting import format_lift, format_lifts
from experiments.metrics import Reward

# A fall of conversions per click follows by itself from more clicks: only metrics of visitors speak against a winner.
_OF_VISITORS = {Reward.CTR, Reward.CONVERSION_RATE, Reward.VALUE_PER_IMPRESSION}


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
    return chosen or [m for m in secondary if m.metric in _OF_VISITORS][:1]


def compared_on(metric: SecondaryMetric, key: str) -> VariantRate | None:
    """Find the variant's row where it can be compared: it and the control have enough data, the control a success."""
    row = next((row for row in metric.variants if row.variant_key == key), None)
    control = next((row for row in metric.variants if row.is_control), None)
    if row is None or control is None or is_control_bare(metric.variants):
        return None
    return row if row.enough_data and control.enough_data else None


class Worse(NamedTuple):
    """A metric of visitors on which a variant is below the control. ``is_clear``: beyond what a daily look may find."""

    metric: str
    interval: str
    is_clear: bool


def worse_metrics(results: Results, row: RankedVariant) -> list[Worse]:
    """Name the metrics of visitors on which a variant is below the control, clearly or likely."""
    found = []
    for metric in results.analysis.statistics.secondary:
        rate = compared_on(metric, row.statistics.variant_key) if metric.metric in _OF_VISITORS else None
        if rate is None or rate.uplift_low is None or rate.uplift_high is None:
            continue
        effect = effect_of(rate)
        if effect.is_worse:
            words = _("95%% interval %(low)s to %(high)s") % interval_words(rate.uplift_low, rate.uplift_high)
            found.append(Worse(str(metric.metric.label), words, effect is Effect.CLEARLY_WORSE))
    return found


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
