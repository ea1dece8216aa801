"""Metrics other than the goal, as they speak against a variant that leads on the goal."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from allocation.statistics.secondary import SecondaryMetric
from allocation.statistics.variants import Effect, VariantRate, effect_of, is_control_bare
from experiments.metrics import Reward

# A fall of conversions per click follows by itself from more clicks: only metrics of visitors speak against a winner.
OF_VISITORS = frozenset({Reward.CTR, Reward.CONVERSION_RATE, Reward.VALUE_PER_IMPRESSION})


class WorseRate(NamedTuple):
    """A metric of visitors on which a variant is below the control, with the ends of its lift's interval."""

    metric: Reward
    low: float
    high: float
    is_clear: bool


def compared_on(metric: SecondaryMetric, key: str) -> VariantRate | None:
    """Find the variant's row where it can be compared: it and the control have enough data, the control a success."""
    row = next((row for row in metric.variants if row.variant_key == key), None)
    control = next((row for row in metric.variants if row.is_control), None)
    if row is None or control is None or is_control_bare(metric.variants):
        return None
    return row if row.enough_data and control.enough_data else None


def worse_rates(secondary: Sequence[SecondaryMetric], key: str) -> Iterator[WorseRate]:
    """Find the metrics of visitors on which a variant, by its key, is below the control, clearly or likely."""
    for metric in secondary:
        row = compared_on(metric, key) if metric.metric in OF_VISITORS else None
        if row is None or row.uplift_low is None or row.uplift_high is None:
            continue
        effect = effect_of(row)
        if effect.is_worse:
            is_clear = effect is Effect.CLEARLY_WORSE
            yield WorseRate(metric.metric, row.uplift_low, row.uplift_high, is_clear)
