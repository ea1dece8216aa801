"""Other metrics than the goal, in words: how the leader does on them."""

from django.utils.translation import gettext as _

from allocation.statistics.results import RankedVariant, Results
from allocation.statistics.secondary import SecondaryMetric
from allocation.statistics.variants import VariantRate, is_control_bare
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
            "word": effect_word(row),
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


def worse_metrics(results: Results, leader: RankedVariant) -> list[str]:
    """Name the metrics of visitors on which the leader is below the control beyond doubt."""
    found = [
        (m, compared_on(m, leader.statistics.variant_key))
        for m in results.analysis.statistics.secondary
        if m.metric in _OF_VISITORS
    ]
    return [str(m.metric.label) for m, row in found if row and (row.uplift_high or 0) < 0]


def effect_word(row: VariantRate) -> str:
    """Say in a word what the interval of a lift means."""
    if (row.uplift_high or 0) < 0:
        return _("worse")
    return _("better") if (row.uplift_low or 0) > 0 else _("no clear difference")
