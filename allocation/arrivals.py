"""Data that a person or a file has brought, and the alarms and decisions that follow at once."""

import datetime as dt
import logging
from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from allocation.models import Allocation, State
from allocation.services import compute_allocations
from allocation.traffic.alarms import try_to_alert
from experiments.database.away import is_away
from experiments.models import Experiment, Status
from notifications.events import EventKind

# Decided again in the request that brings the data; the others by the next sweep. Pages and the alarm agree until then.
_MOST_AGAIN = 25

logger = logging.getLogger(__name__)


def look_at_arrived(experiment_ids: Sequence[int], now: dt.datetime) -> None:
    """Raise and clear the alarms of those of the experiments that run, and decide again where one was decided that no
    longer is: its traffic does not arrive as split.
    """
    running = Experiment.objects.filter(pk__in=experiment_ids, status=Status.ACTIVE, archived_at=None)
    date = timezone.localdate(now)
    try_to_alert(sorted(running.values_list("pk", flat=True)), date, now)
    in_doubt = running.filter(alarms__kind=EventKind.SAMPLE_RATIO_MISMATCH, alarms__cleared_at=None)
    newest = Allocation.objects.newest_of(list(in_doubt.values_list("pk", flat=True)), date)
    wrong = sorted(newest.filter(state=State.DECIDED).values_list("experiment_id", flat=True))
    if wrong:
        _try_to_decide(wrong[:_MOST_AGAIN], date, now)


def _try_to_decide(experiment_ids: Sequence[int], date: dt.date, now: dt.datetime) -> None:
    """Decide again; a fault of ours refuses no data."""
    try:
        with transaction.atomic():
            compute_allocations(experiment_ids=experiment_ids, target_date=date, now=now)
    except Exception as error:
        if is_away(error):
            raise
        logger.exception("deciding again failed for %s experiments", len(experiment_ids))
