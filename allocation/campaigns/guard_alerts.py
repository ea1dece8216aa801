"""Notifications of guards: a harm is reported once, and so is each time that the control gets all traffic.

Called in the transaction that records the decisions.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db.models import Q
from django.utils import timezone

from allocation.ledger.entries import Entry
from allocation.ledger.reasons import ratio_in_english
from allocation.models import Kind
from experiments.events import log_event_on_commit
from experiments.models import Status
from notifications.events import EventKind
from notifications.models import Alarm
from notifications.outbox import NewEvent, queue

KINDS = (EventKind.GUARD_WARNED, EventKind.GUARD_ACTED)
_HARMS = "harms"
Facts = dict[str, Any]


def alert_on_guards(entries: Sequence[Entry], now: dt.datetime) -> None:
    """Raise and clear the alarms of guards, and queue what is news. Decisions for past days are not."""
    with_guards = [entry for entry in entries if entry.inputs and entry.inputs.guarding]
    if not with_guards:
        return
    today = timezone.localdate(now)
    guarded = [entry for entry in with_guards if entry.allocation.target_date >= today]
    if not guarded:
        return
    known: defaultdict[tuple[int, str], list[Alarm]] = defaultdict(list)
    for alarm in Alarm.objects.filter(
        experiment__in=[e.allocation.experiment_id for e in guarded], kind__in=KINDS
    ):
        known[alarm.experiment_id, alarm.kind].append(alarm)
    changes = _Changes(now)
    news = [event for entry in guarded for event in _news(entry, known, changes)]
    changes.write()
    queue(news, now)


class _Changes:
    """Alarms to raise and to clear, which are written at once."""

    def __init__(self, now: dt.datetime) -> None:
        self._now = now
        self._raised: list[Alarm] = []
        self._over: list[int] = []

    def clear(self, known: Sequence[Alarm]) -> None:
        self._over += [alarm.pk for alarm in known if alarm.cleared_at is None]

    def raise_alarm(self, entry: Entry, kind: EventKind, facts: Facts) -> None:
        experiment = entry.allocation.experiment
        self._raised.append(Alarm(experiment=experiment, kind=kind, facts=facts, raised_at=self._now))

    def write(self) -> None:
        if self._over:
            Alarm.objects.filter(pk__in=self._over).update(cleared_at=self._now)
        Alarm.objects.bulk_create(self._raised)
        for alarm in self._raised:
            log_event_on_commit("alarm.raised", experiment=alarm.experiment_id, kind=str(alarm.kind))


def clear_where_over(now: dt.datetime) -> None:
    """Clear what no decision would: of experiments whose last guard is gone, or that are over."""
    is_open, is_over = Q(kind__in=KINDS, cleared_at=None), Q(experiment__status=Status.COMPLETED)
    no_guard = Q(kind=EventKind.GUARD_WARNED, experiment__guards=None)
    over = Alarm.objects.filter(is_open, is_over | Q(experiment__archived_at__isnull=False) | no_guard)
    Alarm.objects.filter(pk__in=list(over.values_list("pk", flat=True))).update(cleared_at=now)


def _news(
    entry: Entry, known: Mapping[tuple[int, str], Sequence[Alarm]], changes: _Changes
) -> Iterator[NewEvent]:
    pk = entry.allocation.experiment_id
    yield from _warnings(entry, known[pk, EventKind.GUARD_WARNED], changes)
    yield from _stops(entry, known[pk, EventKind.GUARD_ACTED], changes)


def _warnings(entry: Entry, known: Sequence[Alarm], changes: _Changes) -> Iterator[NewEvent]:
    """One event for each harm that no alarm has reported since a person resumed."""
    harms = [fact for fact in _facts(entry) if fact["action"] != "act"]
    reported = {_place(fact) for alarm in known if _counts(entry, alarm) for fact in alarm.facts[_HARMS]}
    new = [fact for fact in harms if _place(fact) not in reported]
    if new or not harms:
        changes.clear(known)
    if new:
        changes.raise_alarm(entry, EventKind.GUARD_WARNED, {_HARMS: harms})
    for fact in new:
        yield NewEvent(EventKind.GUARD_WARNED, entry.allocation.experiment, fact)


def _stops(entry: Entry, known: Sequence[Alarm], changes: _Changes) -> Iterator[NewEvent]:
    """One event each time that the control gets all traffic."""
    is_open = any(alarm.cleared_at is None for alarm in known)
    if entry.allocation.kind != Kind.GUARD:
        changes.clear(known)
    elif not is_open:
        row = entry.allocation
        facts = {
            "reason": row.reason,
            "target_date": row.target_date.isoformat(),
            _HARMS: [fact for fact in _facts(entry) if fact["action"] == "act"],
        }
        changes.raise_alarm(entry, EventKind.GUARD_ACTED, facts)
        yield NewEvent(EventKind.GUARD_ACTED, row.experiment, facts)


def _facts(entry: Entry) -> list[Facts]:
    return [{**harm, "ratio": ratio_in_english(harm["metric"])} for harm in entry.allocation.harms or []]


def _place(fact: Facts) -> tuple[str, str]:
    return fact["metric"], fact["variant"]


def _counts(entry: Entry, alarm: Alarm) -> bool:
    """False for alarms from before a person resumed: what is found after that is news."""
    since = entry.inputs.guarding.since if entry.inputs and entry.inputs.guarding else None
    return since is None or timezone.localdate(alarm.raised_at) >= since
