"""Recording of observations: a day's totals or increments, all rows or none."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from django.db import transaction
from django.utils.translation import gettext as _

from experiments.audit import record_history
from experiments.events import log_event_on_commit
from experiments.exceptions import ExperimentNotFoundError, InvalidError, InvalidRowsError, Issue
from experiments.ingestion.new_names import NewVariants, refuse_new_names
from experiments.ingestion.upsert import (
    PlacedCounts,
    raise_data_versions,
    recorded_at_once,
    upsert_daily_metrics,
    variants_of,
)
from experiments.ingestion.validation import count_issues
from experiments.metrics import COUNT_NAMES, HIGHEST_COUNT, NO_COUNTS, OUTERMOST, Counts, DailyCounts
from experiments.models import MAX_VARIANTS, TAKES_EVENTS, DailyMetric, Variant
from experiments.selectors import find_experiment, find_experiments
from experiments.services import lock_experiments
from experiments.variants import new_variants

# set: the rows are the day's totals. add: they are added to what is stored.
Mode = Literal["set", "add"]
# Origin of rows; a label of the metrics.
Source = Literal["api", "csv", "dashboard", "admin", "command"]


class Recorded(NamedTuple):
    """Numbers of rows, new variants and experiments of one ingestion, and the names of those variants."""

    rows: int
    new_variants: int
    experiments: int = 1
    new_variant_names: tuple[str, ...] = ()


def record_events(
    *,
    experiment_id: int,
    rows: Sequence[DailyCounts],
    today: dt.date,
    now: dt.datetime,
    mode: Mode = "set",
    source: Source | None = "api",
    new_variants: NewVariants = "create",
) -> Recorded:
    """Set (or add to) the daily totals of one experiment, all rows or none; create unknown variants, or refuse them.

    ``source`` is logged; with None the caller logs the whole itself.
    Raises InvalidRowsError with positions in ``rows``, ExperimentNotFoundError, StatusConflictError.
    """
    return _record([(experiment_id, row) for row in rows], today, now, mode, source, new_variants)


def record_batch(
    *,
    rows: Sequence[tuple[str, DailyCounts]],
    today: dt.date,
    now: dt.datetime,
    mode: Mode = "set",
    source: Source = "api",
    new_variants: NewVariants = "create",
) -> Recorded:
    """Record rows of many experiments, each beside its experiment's id or key: all or none.

    Raises InvalidRowsError (an unknown experiment is a problem of its row), StatusConflictError.
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
    placed = [(found[reference].pk, counts) for reference, counts in rows]
    return _record(placed, today, now, mode, source, new_variants)


def record_placed(
    *,
    rows: Sequence[PlacedCounts],
    today: dt.date,
    now: dt.datetime,
    mode: Mode = "set",
    new_variants: NewVariants = "create",
) -> Recorded:
    """Record rows beside the ids of their experiments; the caller logs the whole."""
    return _record(rows, today, now, mode, None, new_variants)


def _record(
    rows: Sequence[PlacedCounts],
    today: dt.date,
    now: dt.datetime,
    mode: Mode,
    source: Source | None,
    policy: NewVariants,
) -> Recorded:
    _refuse_bad_rows(rows, today)
    ids = sorted({experiment_id for experiment_id, _ in rows})
    created: tuple[str, ...] = ()
    if mode == "add" or not recorded_at_once(rows, ids, now):
        created = _record_in_steps(rows, ids, now, mode, policy)
    counted = {"rows": len(rows), "new_variants": len(created), "experiments": len(ids)}
    if source is not None:
        one = ids[0] if len(ids) == 1 else None
        log_event_on_commit("events.recorded", source=source, mode=mode, experiment=one, **counted)
    return Recorded(**counted, new_variant_names=tuple(dict.fromkeys(created)))


def _record_in_steps(
    rows: Sequence[PlacedCounts],
    experiment_ids: Sequence[int],
    now: dt.datetime,
    mode: Mode,
    policy: NewVariants,
) -> tuple[str, ...]:
    """Record under the experiments' locks what one statement cannot, with a reason for each refusal; return the
    names of new variants.
    """
    with transaction.atomic():
        _raise_data_versions(experiment_ids)
        variants, created = _variant_ids(experiment_ids, rows, now, policy)
        totals = [(variants[pk, counts.variant_name], counts) for pk, counts in rows]
        _refuse_two_names_of_one(totals)
        upsert_daily_metrics(_added_to_stored(totals) if mode == "add" else totals, now)
    return created


def _refuse_bad_rows(rows: Sequence[PlacedCounts], today: dt.date) -> None:
    if not rows:
        raise InvalidError([Issue("rows", "empty", "give at least one row")])
    found = [
        (index, issue) for index, (_, counts) in enumerate(rows) for issue in count_issues(counts, today)
    ]
    seen: set[tuple[int, dt.date, str]] = set()
    for index, (experiment_id, counts) in enumerate(rows):
        place = (experiment_id, counts.date, counts.variant_name)
        if place in seen:
            message = _("%(name)r is given twice for %(date)s")
            said = message % {"name": counts.variant_name, "date": counts.date}
            found.append((index, Issue("variant_name", "duplicate", said)))
        seen.add(place)
    if found:
        raise InvalidRowsError(found)


def _raise_data_versions(experiment_ids: Sequence[int]) -> None:
    """Lock the experiments by a guarded UPDATE; refuse those that take no events."""
    if len(experiment_ids) > 1:
        lock_experiments(experiment_ids)
    if raise_data_versions(experiment_ids) == len(experiment_ids):
        return
    for experiment_id in experiment_ids:
        experiment = find_experiment(experiment_id)
        if experiment.status not in TAKES_EVENTS or experiment.archived_at:
            raise experiment.status_conflict(
                _("is %(status)s and takes no events.") % {"status": experiment.state_word}
            )


def _variant_ids(
    experiment_ids: Sequence[int], rows: Sequence[PlacedCounts], now: dt.datetime, policy: NewVariants
) -> tuple[dict[tuple[int, str], int], tuple[str, ...]]:
    """Find each row's variant by name or key and create the missing ones. Call under the experiments' locks."""
    known = variants_of(experiment_ids)
    ids = {(e, key): pk for e, pk, key, _, _ in known} | {(e, name): pk for e, pk, _, name, _ in known}
    missing: defaultdict[int, dict[str, None]] = defaultdict(dict)
    for experiment_id, counts in rows:
        if (experiment_id, counts.variant_name) not in ids:
            missing[experiment_id][counts.variant_name] = None
    if missing:
        refuse_new_names(rows, missing, known, policy)
        _refuse_too_many(rows, missing, [e for e, *_ in known])
        with_control = {e for e, *_, is_control in known if is_control}
        new = [
            variant
            for e, names in missing.items()
            for variant in new_variants(e, list(names), has_control=e in with_control, now=now)
        ]
        made = Variant.objects.bulk_create(new)
        record_history(made, created=True)
        ids |= {(v.experiment_id, v.name): v.pk for v in made}
    return ids, tuple(name for names in missing.values() for name in names)


def _refuse_too_many(
    rows: Sequence[PlacedCounts], missing: dict[int, dict[str, None]], known: Sequence[int]
) -> None:
    message = _("an experiment has at most %(most)s variants; this one would be more") % {
        "most": MAX_VARIANTS
    }
    issue = Issue("variant_name", "too_many_variants", message)
    beyond = {
        (e, name)
        for e, names in missing.items()
        for name in list(names)[max(MAX_VARIANTS - known.count(e), 0) :]
    }
    if found := [
        (index, issue) for index, (e, counts) in enumerate(rows) if (e, counts.variant_name) in beyond
    ]:
        raise InvalidRowsError(found)


def _refuse_two_names_of_one(rows: Iterable[PlacedCounts]) -> None:
    """Refuse a day under both the name and the key of one renamed variant: those would be two totals."""
    seen: set[tuple[int, dt.date]] = set()
    found: list[tuple[int, Issue]] = []
    for index, (variant_id, counts) in enumerate(rows):
        if (variant_id, counts.date) in seen:
            message = _("is another name of a variant given already for this date")
            found.append((index, Issue("variant_name", "duplicate", message)))
        seen.add((variant_id, counts.date))
    if found:
        raise InvalidRowsError(found)


def _added_to_stored(rows: Sequence[PlacedCounts]) -> list[PlacedCounts]:
    """Add the rows to what is stored; the experiments' locks keep that from changing meanwhile."""
    stored = DailyMetric.objects.filter(
        variant_id__in={variant_id for variant_id, _row in rows}, date__in={row.date for _id, row in rows}
    )
    before = {
        (variant_id, date): Counts(*counts)
        for variant_id, date, *counts in stored.values_list("variant_id", "date", *COUNT_NAMES)
    }
    sums = [(variant_id, row.plus(before.get((variant_id, row.date), NO_COUNTS))) for variant_id, row in rows]
    too_many = [
        (index, Issue(name, "out_of_range", f"the day's total would be {value}; at most {HIGHEST_COUNT} fit"))
        for index, (_id, row) in enumerate(sums)
        for name in OUTERMOST
        if (value := getattr(row, name)) > HIGHEST_COUNT
    ]
    if too_many:
        raise InvalidRowsError(too_many)
    return sums
