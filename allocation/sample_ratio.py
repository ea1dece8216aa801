"""Does traffic arrive as it was split? Each day's impressions beside the split that was in force (SRM)."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from allocation.engine.analysis.sample_ratio import TrafficSums, sample_ratio_of_sums, traffic_sums
from allocation.ledger.inputs import InputVariant
from allocation.ledger.statements import VariantKey, stream_of_impressions
from allocation.ledger.table import DailyTable, MetricRow
from allocation.selectors import Split, stream_of_splits
from experiments.database.rows import Row
from experiments.metrics import COUNT_NAMES
from experiments.models import DailyMetric, Experiment, Variant

# The variants of an experiment that are compared.
Compared = Sequence[Variant | InputVariant | VariantKey]


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
    return sample_ratios_of({experiment.pk: list(experiment.variants.all())}, date)[experiment.pk]


def sample_ratios_of(variants: Mapping[int, Compared], date: dt.date) -> dict[int, SampleRatioResult | None]:
    """The test of each experiment, by id, from the variants of each; two queries for all. None without two variants
    and days to compare.

    Whole histories are read as one stream, so that one experiment's is in memory at a time.
    """
    found: dict[int, SampleRatioResult | None] = dict.fromkeys(variants)
    ids = list(variants)
    splits = dict(stream_of_splits(ids, date)) if ids else {}
    rows = stream_of_impressions(list(splits), date) if splits else ()
    for pk, days in groupby(rows, lambda row: row[0]):
        dates, impressions = _by_day(days, {variant.id: n for n, variant in enumerate(variants[pk])})
        found[pk] = _compare(variants[pk], splits[pk], dates, impressions)
    return found


def _by_day(rows: Iterable[Row], place: Mapping[int, int]) -> tuple[list[dt.date], NDArray[np.float64]]:
    """Put the rows of an experiment's days, oldest first, into a line of impressions each."""
    days: dict[dt.date, list[int]] = {}
    for _pk, date, variant, impressions in rows:
        if variant in place:
            days.setdefault(date, [0] * len(place))[place[variant]] = impressions
    return list(days), np.array(list(days.values()), dtype=np.float64).reshape(len(days), len(place))


def daily_counts_until(experiment_ids: Sequence[int], date: dt.date) -> dict[int, list[MetricRow]]:
    """Every row of each experiment's history, by experiment id, oldest first; one query."""
    rows: defaultdict[int, list[MetricRow]] = defaultdict(list)
    found = DailyMetric.objects.filter(variant__experiment__in=experiment_ids, date__lte=date)
    fields = ("variant__experiment_id", "date", "variant_id", *COUNT_NAMES)
    for experiment_id, *row in found.order_by("date").values_list(*fields):
        rows[experiment_id].append(tuple(row))
    return rows


def compare(variants: Compared, splits: Sequence[Split], table: DailyTable) -> SampleRatioResult | None:
    """The test over the days of the table on which a split was in force."""
    return _compare(variants, splits, table.dates, table.counts.impressions.astype(np.float64))


def _compare(
    variants: Compared, splits: Sequence[Split], dates: Sequence[dt.date], impressions: NDArray[np.float64]
) -> SampleRatioResult | None:
    sums, compared_days = sums_of_days(variants, splits_in_force(splits, dates), impressions)
    return result_of_sums(variants, sums, len(dates), compared_days) if compared_days else None


def sums_of_days(
    variants: Compared, in_force: Sequence[Mapping[int, float]], impressions: NDArray[np.float64]
) -> tuple[TrafficSums, int]:
    """Add up the days on which a split was in force, and count them."""
    known = [n for n, shares in enumerate(in_force) if shares]
    expected = [[in_force[n].get(variant.id, 0.0) for variant in variants] for n in known]
    shares = np.array(expected, dtype=np.float64).reshape(len(known), len(variants))
    return traffic_sums(impressions[known], shares), len(known)


def result_of_sums(
    variants: Compared, sums: TrafficSums, days: int, compared_days: int
) -> SampleRatioResult | None:
    found = sample_ratio_of_sums(sums)
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
        days=days,
        compared_days=compared_days,
    )


def splits_in_force(splits: Sequence[Split], days: Sequence[dt.date]) -> list[Mapping[int, float]]:
    """The shares of the latest split served by each day; empty before the first, and where an end was undone."""
    served = {split.served_from: {} if split.undone else split.shares for split in splits}
    since = sorted(served)
    last = np.searchsorted(
        [date.toordinal() for date in since], [day.toordinal() for day in days], side="right"
    )
    return [served[since[n - 1]] if n else {} for n in last]
