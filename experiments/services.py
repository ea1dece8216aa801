"""What can be done to experiments and their data. Views, commands and the admin call these and nothing else."""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

from django.core.management.color import no_style
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils.text import slugify

from experiments.counts import DailyCounts, count_issues, repeated
from experiments.exceptions import (
    InvalidError,
    InvalidRowsError,
    Issue,
    ResetForbiddenError,
    StatusConflictError,
)
from experiments.models import MAX_VARIANTS, TAKES_EVENTS, DailyMetric, Experiment, Reward, Status, Variant
from experiments.selectors import find_experiment

TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.DRAFT: frozenset({Status.ACTIVE}),
    Status.ACTIVE: frozenset({Status.PAUSED, Status.COMPLETED}),
    Status.PAUSED: frozenset({Status.ACTIVE, Status.COMPLETED}),
    Status.COMPLETED: frozenset(),
}
CONTROL_NAME = "control"
_KEY_LENGTH = 70


class Recorded(NamedTuple):
    """What an ingestion did."""

    rows: int
    new_variants: int


def create_experiment(
    *,
    name: str,
    now: dt.datetime,
    description: str = "",
    status: Status = Status.ACTIVE,
    reward: Reward = Reward.CTR,
    pk: int | None = None,
) -> Experiment:
    """Creates an experiment under a key made from its name, with a number behind it where that is taken.

    ``pk`` is for imports, whose files name experiments by number.
    """
    stem = key_from_name(name)
    for attempt in count(1):
        key = stem if attempt == 1 else f"{stem}-{attempt}"
        if Experiment.objects.filter(key=key).exists():
            continue
        experiment = Experiment(
            pk=pk, key=key, name=name, description=description, status=status, reward=reward, created_at=now
        )
        try:
            with transaction.atomic():
                experiment.save(force_insert=True)
        except IntegrityError:
            if not Experiment.objects.filter(key=key).exists():
                raise
            continue  # another request took the key since we looked
        break
    if pk is not None:
        _raise_sequence_past_ids()
    return experiment


def key_from_name(name: str) -> str:
    """A slug that is never a number alone: where an id stands, a key may stand too."""
    slug = slugify(name)[:_KEY_LENGTH].strip("-_")
    if not slug:
        return "experiment"
    return f"experiment-{slug}" if slug.isdigit() else slug


def record_events(
    *, experiment_id: int, rows: Sequence[DailyCounts], today: dt.date, now: dt.datetime
) -> Recorded:
    """Sets the daily totals of one experiment, all rows or none; unknown variants are created.

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
        DailyMetric.objects.bulk_create(
            metrics,
            batch_size=5000,
            update_conflicts=True,
            unique_fields=["variant", "date"],
            update_fields=["impressions", "clicks", "conversions", "updated_at"],
        )
    return Recorded(len(rows), created)


def reset_data(*, allowed: bool) -> dict[str, int]:
    """Deletes every experiment with its variants, metrics and allocations; answers how many rows of each."""
    if not allowed:
        raise ResetForbiddenError("Resetting is off here. Set ALLOW_RESET=true to allow it.")
    with transaction.atomic():
        _, deleted = Experiment.objects.all().delete()
    return deleted


def _refuse_bad_rows(rows: Sequence[DailyCounts], today: dt.date) -> None:
    if not rows:
        raise InvalidError([Issue("rows", "empty", "give at least one row")])
    found = [(index, issue) for index, row in enumerate(rows) for issue in count_issues(row, today)]
    found += repeated(rows)
    if found:
        raise InvalidRowsError(found)


def _raise_data_version(experiment_id: int) -> None:
    """A guarded UPDATE: takes the row's lock, and effect only where the experiment takes events."""
    open_experiment = Experiment.objects.filter(pk=experiment_id, status__in=TAKES_EVENTS)
    if open_experiment.update(data_version=F("data_version") + 1) == 1:
        return
    experiment = find_experiment(experiment_id)
    raise StatusConflictError(
        f"Experiment {experiment.key!r} is {experiment.status} and takes no events.",
        status_now=experiment.status,
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
        control = None if known else (CONTROL_NAME if CONTROL_NAME in missing else missing[0])
        new = [
            Variant(
                experiment_id=experiment_id, key=name, name=name, is_control=name == control, created_at=now
            )
            for name in missing
        ]
        by_name |= {variant.name: variant for variant in Variant.objects.bulk_create(new)}
    return by_name, len(missing)


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


def _raise_sequence_past_ids() -> None:
    """PostgreSQL hands out ids from a sequence, which knows nothing of ids given by hand."""
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), [Experiment]):
            cursor.execute(statement)


def change_status(
    *, experiment_id: int, to: Status, now: dt.datetime, winner_id: int | None = None
) -> Experiment:
    """Moves an experiment along the transition table; the winner is for completing.

    Raises StatusConflictError with the states that are allowed next.
    """
    if winner_id is not None and not Variant.objects.filter(pk=winner_id, experiment=experiment_id).exists():
        raise InvalidError([Issue("winner", "unknown_variant", "must be one of the experiment's variants")])
    allowed_from = [status for status, following in TRANSITIONS.items() if to in following]
    changed = Experiment.objects.filter(pk=experiment_id, status__in=allowed_from).update(
        status=to,
        winner_id=winner_id if to is Status.COMPLETED else None,
        data_version=F("data_version") + 1,
        updated_at=now,
    )
    experiment = find_experiment(experiment_id)
    if changed != 1:
        following = sorted(TRANSITIONS[Status(experiment.status)])
        said = f"it can become {' or '.join(following)}" if following else "it stays so"
        raise StatusConflictError(
            f"Experiment {experiment.key!r} is {experiment.status}; {said}.",
            status_now=experiment.status,
            allowed=following,
        )
    return experiment
