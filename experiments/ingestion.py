"""How observations come in: a day's totals or increments, exactly once, all rows or none."""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from typing import Literal, NamedTuple

from django.db import transaction
from django.db.models import F

from experiments.counts import DailyCounts, count_issues, repeated
from experiments.exceptions import (
    ExperimentNotFoundError,
    InvalidError,
    InvalidRowsError,
    Issue,
    StatusConflictError,
)
from experiments.models import (
    HIGHEST_COUNT,
    MAX_VARIANTS,
    TAKES_EVENTS,
    DailyMetric,
    Experiment,
    Variant,
)
from experiments.selectors import find_experiment, find_experiments
from experiments.variants import new_variants

# set: the rows are the day's totals. add: they are added to what is there.
Mode = Literal["set", "add"]


class Recorded(NamedTuple):
    """What an ingestion did."""

    rows: int
    new_variants: int
    experiments: int = 1


def record_events(
    *,
    experiment_id: int,
    rows: Sequence[DailyCounts],
    today: dt.date,
    now: dt.datetime,
    mode: Mode = "set",
) -> Recorded:
    """Sets (or adds to) the daily totals of one experiment, all rows or none; unknown variants are created.

    Raises InvalidError with fields written rows[3].clicks, ExperimentNotFoundError, StatusConflictError.
    """
    _refuse_bad_rows(rows, today)
    with transaction.atomic():
        # Also takes the lock under which this experiment's variants and rows are written.
        _raise_data_version(experiment_id)
        variants, created = _variants_by_name(experiment_id, [row.variant_name for row in rows], now)
        metrics = [
            DailyMetric(
                variant=variants[row.variant_name],
                date=row.date,
                impressions=row.impressions,
                clicks=row.clicks,
                conversions=row.conversions,
                updated_at=now,
            )
            for row in rows
        ]
        _refuse_two_names_of_one(metrics)
        if mode == "add":
            _add_stored(metrics)
        DailyMetric.objects.bulk_create(
            metrics,
            batch_size=5000,
            update_conflicts=True,
            unique_fields=["variant", "date"],
            update_fields=["impressions", "clicks", "conversions", "updated_at"],
        )
    return Recorded(len(rows), created)


def record_batch(
    *,
    rows: Sequence[tuple[str, DailyCounts]],
    today: dt.date,
    now: dt.datetime,
    mode: Mode = "set",
) -> Recorded:
    """Rows of many experiments, each with its experiment's id or key: all or none.

    Raises InvalidRowsError (an unknown experiment is a row's problem), StatusConflictError.
    """
    found = find_experiments({reference for reference, _ in rows})
    unknown = [
        (
            index,
            Issue(
                "experiment_id", ExperimentNotFoundError.code, f"there is no experiment {reference[:100]!r}"
            ),
        )
        for index, (reference, _) in enumerate(rows)
        if reference not in found
    ]
    if unknown:
        raise InvalidRowsError(unknown)
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for index, (reference, _) in enumerate(rows):
        groups[found[reference].pk].append(index)
    with transaction.atomic():
        # Always in the same order: two batches at once wait for each other and never deadlock.
        recorded = [_record_group(pk, groups[pk], rows, today, now, mode) for pk in sorted(groups)]
    return Recorded(len(rows), sum(r.new_variants for r in recorded), len(groups))


def _record_group(
    experiment_id: int,
    places: Sequence[int],
    rows: Sequence[tuple[str, DailyCounts]],
    today: dt.date,
    now: dt.datetime,
    mode: Mode,
) -> Recorded:
    counts = [rows[place][1] for place in places]
    try:
        return record_events(experiment_id=experiment_id, rows=counts, today=today, now=now, mode=mode)
    except InvalidRowsError as error:
        raise InvalidRowsError([(places[index], issue) for index, issue in error.row_issues]) from error


def _refuse_bad_rows(rows: Sequence[DailyCounts], today: dt.date) -> None:
    if not rows:
        raise InvalidError([Issue("rows", "empty", "give at least one row")])
    found = [(index, issue) for index, row in enumerate(rows) for issue in count_issues(row, today)]
    found += repeated(rows)
    if found:
        raise InvalidRowsError(found)


def _raise_data_version(experiment_id: int) -> None:
    """A guarded UPDATE: takes the row's lock, and effect only where the experiment takes events."""
    open_experiment = Experiment.objects.filter(pk=experiment_id, status__in=TAKES_EVENTS, archived_at=None)
    if open_experiment.update(data_version=F("data_version") + 1) == 1:
        return
    experiment = find_experiment(experiment_id)
    said = "archived" if experiment.archived_at else experiment.status
    raise StatusConflictError(
        f"Experiment {experiment.key!r} is {said} and takes no events.", status_now=experiment.status
    )


def _variants_by_name(
    experiment_id: int, names: Sequence[str], now: dt.datetime
) -> tuple[dict[str, Variant], int]:
    """Each name's variant, found by name or by key; the others are created. Call under the experiment's lock."""
    known = list(Variant.objects.filter(experiment_id=experiment_id))
    by_name = {variant.key: variant for variant in known} | {variant.name: variant for variant in known}
    missing = list(dict.fromkeys(name for name in names if name not in by_name))
    if missing:
        _refuse_too_many(names, set(missing[max(MAX_VARIANTS - len(known), 0) :]))
        new = new_variants(experiment_id, missing, has_control=any(v.is_control for v in known), now=now)
        by_name |= {variant.name: variant for variant in Variant.objects.bulk_create(new)}
    return by_name, len(missing)


def _add_stored(metrics: Sequence[DailyMetric]) -> None:
    """Adds what is stored already; the experiment's lock keeps it from changing meanwhile."""
    stored = DailyMetric.objects.filter(
        variant_id__in={m.variant_id for m in metrics}, date__in={m.date for m in metrics}
    )
    before = {(metric.variant_id, metric.date): metric for metric in stored}
    too_many: list[tuple[int, Issue]] = []
    for index, metric in enumerate(metrics):
        if (old := before.get((metric.variant_id, metric.date))) is not None:
            metric.impressions += old.impressions
            metric.clicks += old.clicks
            metric.conversions += old.conversions
        if metric.impressions > HIGHEST_COUNT:
            message = f"the day's total would be {metric.impressions}; at most {HIGHEST_COUNT} fit"
            too_many.append((index, Issue("impressions", "out_of_range", message)))
    if too_many:
        raise InvalidRowsError(too_many)


def _refuse_too_many(names: Sequence[str], beyond: set[str]) -> None:
    message = f"an experiment has at most {MAX_VARIANTS} variants; this one would be more"
    issue = Issue("variant_name", "too_many_variants", message)
    if found := [(index, issue) for index, name in enumerate(names) if name in beyond]:
        raise InvalidRowsError(found)


def _refuse_two_names_of_one(metrics: Sequence[DailyMetric]) -> None:
    """A renamed variant answers to its key too: the same day under both names would be two totals for one."""
    places: defaultdict[tuple[int, dt.date], list[int]] = defaultdict(list)
    for index, metric in enumerate(metrics):
        places[metric.variant_id, metric.date].append(index)
    issue = Issue("variant_name", "duplicate", "is another name of a variant given already for this date")
    if found := [(indexes[1], issue) for indexes in places.values() if len(indexes) > 1]:
        raise InvalidRowsError(found)
