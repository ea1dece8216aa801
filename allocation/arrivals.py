"""Data that a person or a file has brought, and the alarms and decisions that follow at once."""

import datetime as dt
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate

from django.db import transaction
from django.db.models import OuterRef, Subquery
from django.utils import timezone

from allocation.models import Allocation, State
from allocation.services import compute_allocations
from allocation.traffic.alarms import try_to_alert
from experiments.database.away import is_away
from experiments.models import DailyMetric, Experiment, Status, Variant
from notifications.events import EventKind

# Of variants, looked at in the request that brings the data: as many as one experiment may have.
_MOST_DAYS = 100_000
# Decided again in that request; the others by the next sweep. Pages read the alarm, and call no result one until then.
# What experiments gained is worked out anew where a year of their days has changed: seconds for a hundred variants.
_MOST_AGAIN, _MOST_DAYS_AGAIN = 25, 2_000

logger = logging.getLogger(__name__)


def look_at_arrived(experiment_ids: Sequence[int], now: dt.datetime) -> None:
    """Raise and clear the alarms of those of the experiments that run, and decide again where one was decided that no
    longer is: its traffic does not arrive as split.
    """
    running = Experiment.objects.filter(pk__in=experiment_ids, status=Status.ACTIVE, archived_at=None)
    date = timezone.localdate(now)
    ids = sorted(running.values_list("pk", flat=True))
    days = _days_of(ids, date)
    try_to_alert(_within(ids, days, _MOST_DAYS) or ids[:1], date, now)
    in_doubt = running.filter(alarms__kind=EventKind.SAMPLE_RATIO_MISMATCH, alarms__cleared_at=None)
    newest = Allocation.objects.newest_of(list(in_doubt.values_list("pk", flat=True)), date)
    wrong = sorted(newest.filter(state=State.DECIDED).values_list("experiment_id", flat=True))
    if few := _within(wrong, days, _MOST_DAYS_AGAIN)[:_MOST_AGAIN]:
        _try_to_decide(few, date, now)


def _days_of(ids: Sequence[int], date: dt.date) -> Mapping[int, int]:
    """Count the days of each experiment's variants since their first ones, which is not to read them."""
    first = DailyMetric.objects.filter(variant=OuterRef("pk")).order_by("date").values("date")[:1]
    variants = Variant.objects.filter(experiment__in=ids).annotate(first_day=Subquery(first))
    days = Counter[int]()
    for pk, first_day in variants.values_list("experiment_id", "first_day"):
        days[pk] += max((date - first_day).days, 0) + 1 if first_day else 0
    return days


def _within(ids: Sequence[int], days: Mapping[int, int], most: int) -> list[int]:
    """Take the first of the experiments, as long as they have no more days together."""
    together = accumulate(days[pk] for pk in ids)
    return [pk for pk, read in zip(ids, together, strict=True) if read <= most]


def _try_to_decide(experiment_ids: Sequence[int], date: dt.date, now: dt.datetime) -> None:
    """Decide again; a fault of ours refuses no data."""
    try:
        with transaction.atomic():
            compute_allocations(experiment_ids=experiment_ids, target_date=date, now=now)
    except Exception as error:
        if is_away(error):
            raise
        logger.exception("deciding again failed for %s experiments", len(experiment_ids))
