"""The way back from an end: the experiment goes on with the split that it had, or that its data give now."""

import datetime as dt
from typing import Any

from django.db import transaction
from django.db.models import Model
from django.utils import timezone

from allocation.alerts import split_changes
from allocation.exceptions import NoActiveVariantError
from allocation.ledger.entries import Entry
from allocation.models import CLOSING, Allocation, AllocationShare, shares_with_variants
from allocation.services import compute_allocations
from experiments.campaign.ending import undo_end
from experiments.models import Experiment, Status
from experiments.services import lock_experiments
from notifications.outbox import queue


def undo_completion(*, experiment_id: int, now: dt.datetime) -> Experiment:
    """Undo the end of an experiment and record the split that holds from now on; the decision log keeps the end.

    An active one is decided from its data, a paused one gets the split back that it was paused with. Raises
    UndoExpiredError and StatusConflictError.
    """
    today = timezone.localdate(now)
    with transaction.atomic():
        lock_experiments([experiment_id])
        experiment = undo_end(experiment_id=experiment_id, now=now)
        ledger = Allocation.objects.filter(experiment=experiment).in_force_on(today)
        newest = ledger.values_list("kind", flat=True).first()
        before = ledger.exclude(kind__in=CLOSING).first()
        if experiment.status == Status.PAUSED and before is not None and newest in CLOSING:
            _give_back_from(experiment, today, now)
        elif newest is not None:
            _decide(experiment, today, now)
    return experiment


def _decide(experiment: Experiment, today: dt.date, now: dt.datetime) -> None:
    outcome = compute_allocations(
        experiment_ids=[experiment.pk], target_date=today, now=now, even_paused=True
    )[0]
    if outcome.error is not None and not isinstance(outcome.error, NoActiveVariantError):
        raise outcome.error


def _give_back_from(experiment: Experiment, today: dt.date, now: dt.datetime) -> None:
    """Give back the split of today, and those of the days to come that had been decided before it ended, or since."""
    planned = Allocation.objects.filter(experiment=experiment, target_date__gt=today)
    for date in [today, *planned.order_by("target_date").values_list("target_date", flat=True).distinct()]:
        ledger = Allocation.objects.filter(experiment=experiment).in_force_on(date)
        before = ledger.exclude(kind__in=CLOSING).prefetch_related(shares_with_variants())[:1].get()
        _give_back(experiment, before, date, now)


def _give_back(experiment: Experiment, before: Allocation, date: dt.date, now: dt.datetime) -> None:
    """Record the split before the end as that of ``date``, with the inputs that it was computed from then."""
    shares = list(before.shares.all())
    last = Allocation.objects.filter(experiment=experiment, target_date=date).order_by("-revision").first()
    row = Allocation(**_values(before))
    row.experiment, row.target_date, row.revision = experiment, date, last.revision + 1 if last else 1
    row.created_at = max(now, last.created_at) if last else now
    row.save(force_insert=True)
    copies = [AllocationShare(**_values(share)) for share in shares]
    for copied, share in zip(copies, shares, strict=True):
        copied.allocation, copied.variant = row, share.variant
    AllocationShare.objects.bulk_create(copies)
    queue(split_changes([Entry(row, tuple(copies), is_new=True)]), now)


def _values(row: Model) -> dict[str, Any]:
    """Collect what a copy of a row has in common with it."""
    return {f.attname: getattr(row, f.attname) for f in row._meta.concrete_fields if not f.primary_key}
