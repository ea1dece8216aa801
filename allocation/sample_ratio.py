"""Does traffic arrive as it was split? Each day's impressions beside the split that was in force (SRM)."""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from allocation.engine.analysis.sample_ratio import sample_ratio
from allocation.ledger.inputs import InputVariant
from allocation.ledger.table import DailyTable, MetricRow
from allocation.selectors import Split, splits_until
from experiments.metrics import COUNT_NAMES
from experiments.models import DailyMetric, Experiment, Variant


@dataclass(frozen=True)
class SampleRatioResult:
    """The test of an experiment; observed and expected impressions by variant key.

    It holds for the ``compared_days`` on which a split was in force, of all ``days`` with data.
    """

    mismatch: bool
    p_value: float
    chi_square: float
    degrees_of_freedom: int
    observed: dict[str, float]
    expected: dict[str, float]
    days: int
    compared_days: int


def sample_ratio_of(experiment: Experiment, date: dt.date) -> SampleRatioResult | None:
    """The test of one experiment, which has its variants prefetched; two queries."""
    return sample_ratios_of([experiment], date)[experiment.pk]


def sample_ratios_of(experiments: Sequence[Experiment], date: dt.date) -> dict[int, SampleRatioResult | None]:
    """The test of each experiment, by id; two queries for all. None without two variants and days to compare.

    ``experiments`` have their variants prefetched.
    """
    ids = [experiment.pk for experiment in experiments]
    splits, rows = splits_until(ids, date), daily_counts_until(ids, date)
    return {
        experiment.pk: _compare_rows(
            list(experiment.variants.all()), splits[experiment.pk], rows[experiment.pk]
        )
        for experiment in experiments
    }


def daily_counts_until(
    experiment_ids: Sequence[int], date: dt.date, names: Sequence[str] = COUNT_NAMES
) -> dict[int, list[MetricRow]]:
    """Every row of each experiment's history, by experiment id, oldest first; one query."""
    rows: defaultdict[int, list[MetricRow]] = defaultdict(list)
    found = DailyMetric.objects.filter(variant__experiment__in=experiment_ids, date__lte=date)
    fields = ("variant__experiment_id", "date", "variant_id", *names)
    for experiment_id, *row in found.order_by("date").values_list(*fields):
        rows[experiment_id].append(tuple(row))
    return rows


def _compare_rows(
    variants: Sequence[Variant], splits: Sequence[Split], rows: Sequence[MetricRow]
) -> SampleRatioResult | None:
    table = DailyTable.of_rows(rows, {variant.pk: n for n, variant in enumerate(variants)})
    return compare(variants, splits, table)


def compare(
    variants: Sequence[Variant] | Sequence[InputVariant],
    splits: Sequence[Split],
    table: DailyTable,
) -> SampleRatioResult | None:
    """The test over the days of the table on which a split was in force."""
    in_force = splits_in_force(splits, table.dates)
    known = [n for n, shares in enumerate(in_force) if shares]
    if not known:
        return None
    expected = np.array([[in_force[n].get(variant.id, 0.0) for variant in variants] for n in known])
    found = sample_ratio(table.counts.impressions[known].astype(np.float64), expected)
    if found is None:
        return None
    keys = [variant.key for variant in variants]
    return SampleRatioResult(
        mismatch=found.mismatch,
        p_value=found.p_value,
        chi_square=found.chi_square,
        degrees_of_freedom=found.degrees_of_freedom,
        observed=dict(zip(keys, found.observed.tolist(), strict=True)),
        expected=dict(zip(keys, found.expected.tolist(), strict=True)),
        days=len(table.days),
        compared_days=len(known),
    )


def splits_in_force(splits: Sequence[Split], days: Sequence[dt.date]) -> list[Mapping[int, float]]:
    """The shares of the latest split served by each day; empty before the first, and where an end was undone."""
    served = {split.served_from: {} if split.undone else split.shares for split in splits}
    since = sorted(served)
    last = np.searchsorted(
        [date.toordinal() for date in since], [day.toordinal() for day in days], side="right"
    )
    return [served[since[n - 1]] if n else {} for n in last]
