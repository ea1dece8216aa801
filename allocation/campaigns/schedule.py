"""Experiments that start, end and complete by themselves: each at its own time, once, and by nobody else meanwhile.

The scheduler follows the schedules every minute, the daily sweep too; ``manage.py follow_schedules`` does it by hand.
Each experiment has a transaction of its own and is looked at again under its lock: of two schedulers one acts.
"""

import datetime as dt
import logging
from collections.abc import Callable
from functools import partial

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, Q
from django.utils import timezone

from allocation.alerts import is_alarming
from allocation.exceptions import NoActiveVariantError
from allocation.models import Allocation, Kind, State, is_comparison, leading_share
from allocation.sample_ratio import sample_ratio_of
from allocation.selectors import current_allocations, last_computed_allocations
from allocation.services import complete_experiment, compute_allocation
from experiments.campaign.models import End
from experiments.events import log_event_on_commit
from experiments.exceptions import InvalidError
from experiments.models import Experiment, ExperimentQuerySet, Status, Variant
from experiments.services import change_status, lock_experiments
from notifications.events import EventKind
from notifications.models import Alarm
from notifications.outbox import NewEvent, queue

logger = logging.getLogger(__name__)

Act = Callable[[Experiment, dt.datetime], NewEvent | None]

ENDED_REASON = "Ended on schedule."
# Why the control gets all traffic at the end, where on_end names another variant.
HARM_REASON = "Ended on schedule. A guard warned, so the control gets all traffic."
INACTIVE_REASON = (
    "Ended on schedule. The variant that was to get all traffic is inactive, so the control does."
)
MISMATCH_REASON = "Ended on schedule. Traffic did not match, so the control gets all of it."
DECIDED_REASON = "Completed by itself once decided."
_PAUSED = "it is paused, and the last split stays."
_NO_TRAFFIC = "it has no variant that could get traffic."


def follow_schedules(*, now: dt.datetime) -> int:
    """Start and end every experiment whose time has come; return how many. Again at once it finds nothing to do."""
    return _act_on_each(_to_start(now), _start, now) + _act_on_each(_to_end(now), _end, now)


def complete_decided(*, target_date: dt.date, now: dt.datetime) -> int:
    """Complete, with its leader, each experiment that is to be once it is decided; return how many.

    Not while an alarm of a sample-ratio mismatch is open or due, nor with a single active variant; while a guard warns
    it is not decided.
    """
    return _act_on_each(_that_may_complete(target_date), partial(_complete, target_date), now)


def expires_at(allocation: Allocation, experiment: Experiment, date: dt.date) -> dt.datetime | None:
    """When the split in force on ``date`` is to be asked for again: the next midnight, or its end if that is earlier.

    None for an experiment that is over: its split stays.
    """
    if experiment.status == Status.COMPLETED:
        return None
    last = max(allocation.target_date, date)
    midnight = timezone.make_aware(dt.datetime.combine(last + dt.timedelta(days=1), dt.time.min))
    ends_at = experiment.ends_at
    return midnight if ends_at is None or experiment.has_ended else min(midnight, ends_at)


def _to_start(now: dt.datetime) -> ExperimentQuerySet:
    """Drafts whose start has come and whose end has not."""
    drafts = Experiment.objects.filter(status=Status.DRAFT, archived_at=None, starts_at__lte=now)
    return drafts.filter(Q(ends_at=None) | Q(ends_at__gt=now))


def _to_end(now: dt.datetime) -> ExperimentQuerySet:
    """Running and paused experiments whose end has come and was not acted on; the last split of a paused one stays."""
    running = Experiment.objects.filter(status__in=(Status.ACTIVE, Status.PAUSED), archived_at=None)
    due = running.filter(Q(ended_at=None) | Q(ended_at__lt=F("ends_at")), ends_at__lte=now)
    return due.exclude(status=Status.PAUSED, on_end=End.PAUSE)


def _that_may_complete(target_date: dt.date) -> ExperimentQuerySet:
    chosen = Experiment.objects.filter(status=Status.ACTIVE, archived_at=None, complete_when_decided=True)
    decided = Allocation.objects.filter(target_date=target_date, state=State.DECIDED, kind=Kind.OPTIMIZED)
    return chosen.filter(pk__in=decided.last_revisions().values("experiment"))


def _act_on_each(due: ExperimentQuerySet, act: Act, now: dt.datetime) -> int:
    """A fault in one experiment is logged and stops no other, unless the database is away."""
    acted = 0
    for pk in list(due.order_by("pk").values_list("pk", flat=True)):
        try:
            acted += _act_on_one(pk, due, act, now)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            logger.exception("the schedule of experiment %s could not be followed", pk)
    return acted


def _act_on_one(pk: int, due: ExperimentQuerySet, act: Act, now: dt.datetime) -> bool:
    """Another scheduler may have acted since: an experiment that under its lock is no longer due is left alone."""
    with transaction.atomic():
        lock_experiments([pk])
        experiment = due.filter(pk=pk).first()
        event = act(experiment, now) if experiment else None
        if event is not None:
            queue([event], now)
            log_event_on_commit(str(event.kind), experiment=pk)
    return event is not None


def _start(experiment: Experiment, now: dt.datetime) -> NewEvent:
    started = change_status(experiment_id=experiment.pk, to=Status.ACTIVE, now=now, from_status=Status.DRAFT)
    return NewEvent(EventKind.EXPERIMENT_STARTED, started, {"starts_at": _moment(experiment.starts_at)})


def _end(experiment: Experiment, now: dt.datetime) -> NewEvent:
    """Do what on_end says. The mark comes first: the decision that follows tells by it that this is the end."""
    Experiment.objects.filter(pk=experiment.pk).update(ended_at=now)
    outcome = _pause(experiment, now) if experiment.on_end == End.PAUSE else _hand_over(experiment, now)
    data = {"ends_at": _moment(experiment.ends_at), "on_end": str(experiment.on_end), "outcome": outcome}
    return NewEvent(EventKind.EXPERIMENT_ENDED, experiment, data)


def _pause(experiment: Experiment, now: dt.datetime) -> str:
    change_status(experiment_id=experiment.pk, to=Status.PAUSED, now=now, from_status=Status.ACTIVE)
    return _PAUSED


def _hand_over(experiment: Experiment, now: dt.datetime) -> str:
    """Complete with the variant that on_end names. Where there is none, or it is retired, the control gets all."""
    date = timezone.localdate(now)
    winner, reason = _at_end(experiment, date, now)
    try:
        with transaction.atomic():
            row = complete_experiment(
                experiment_id=experiment.pk,
                target_date=date,
                now=now,
                winner_id=None if winner is None else winner.pk,
                decision_reason=reason,
            )
    except NoActiveVariantError:
        change_status(experiment_id=experiment.pk, to=Status.COMPLETED, now=now, decision_reason=reason)
        row = None
    return _NO_TRAFFIC if row is None else row.reason


def _at_end(experiment: Experiment, date: dt.date, now: dt.datetime) -> tuple[Variant | None, str]:
    """The variant that gets all traffic, and the reason to record."""
    chosen, reason = experiment.on_end_variant if experiment.on_end == End.VARIANT else None, ENDED_REASON
    if experiment.on_end == End.LEADER:
        chosen, reason = _leader_at_end(experiment, date, now)
    if chosen is not None and chosen.is_active:
        return chosen, reason
    control = experiment.variants.filter(is_control=True).first()
    return control, reason if chosen is None else INACTIVE_REASON


def _leader_at_end(experiment: Experiment, date: dt.date, now: dt.datetime) -> tuple[Variant | None, str]:
    """The leader as the latest data sees it, and the reason to record.

    None where a guard warns of harm, which may be the leader's, and where traffic does not match: the numbers may be
    wrong.
    """
    if experiment.status == Status.ACTIVE:
        try:
            compute_allocation(experiment_id=experiment.pk, target_date=date, now=now)
        except (NoActiveVariantError, InvalidError):
            logger.warning("experiment %s ends with its last decision's leader", experiment.pk)
    found = last_computed_allocations([experiment], date).get(experiment.pk)
    if found is None:
        return None, ENDED_REASON
    if found.kind == Kind.GUARD or found.harms:
        return None, HARM_REASON
    if _has_mismatch(experiment, date):
        return None, MISMATCH_REASON
    leader = leading_share(list(found.shares.all()))
    return (leader.variant if leader else None), ENDED_REASON


def _complete(target_date: dt.date, experiment: Experiment, now: dt.datetime) -> NewEvent | None:
    found = current_allocations([experiment], target_date).get(experiment.pk)
    shares = list(found.shares.all()) if found else []
    leader = leading_share(shares) if is_comparison(shares) else None
    if found is None or leader is None:
        return None
    if _has_mismatch(experiment, target_date):
        logger.info(
            "experiment %s is decided, but does not end itself: its traffic does not match", experiment.pk
        )
        return None
    complete_experiment(
        experiment_id=experiment.pk,
        target_date=target_date,
        now=now,
        winner_id=leader.variant_id,
        decision_reason=DECIDED_REASON,
    )
    data = {"winner": leader.variant.key, "value_remaining": found.value_remaining}
    return NewEvent(EventKind.EXPERIMENT_COMPLETED, experiment, data)


def _has_mismatch(experiment: Experiment, date: dt.date) -> bool:
    """True while the alarm is open, and where the next sweep would raise it."""
    kind = EventKind.SAMPLE_RATIO_MISMATCH
    if Alarm.objects.filter(experiment=experiment, kind=kind, cleared_at=None).exists():
        return True
    return is_alarming(sample_ratio_of(experiment, date))


def _moment(at: dt.datetime | None) -> str:
    return "" if at is None else timezone.localtime(at).isoformat()
