"""What is worth telling: in new decisions (in their own transaction), and once a day over all active experiments.

No alarm rests on less than ALARM_GRACE_DAYS days of data and ALARM_MIN_IMPRESSIONS impressions.
"""

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from allocation.announcements import NewDecision
from allocation.inputs import variants_in_order
from allocation.models import Allocation, AllocationShare, State
from allocation.statistics import sample_ratio_of
from experiments.models import Experiment
from experiments.services import lock_experiments
from notifications.alarms import ActiveConditions, clear_where_not_active, sync_alarms
from notifications.models import Alarm, Endpoint, EventKind
from notifications.outbox import NewEvent, queue
from notifications.selectors import active_experiments, stale_experiments

logger = logging.getLogger(__name__)

_BY_DECISION = (Alarm.Kind.LEADER_FOUND, Alarm.Kind.EXPERIMENT_DECIDED)
_BY_SWEEP = (Alarm.Kind.SAMPLE_RATIO_MISMATCH, Alarm.Kind.NO_DATA)
_CHUNK = 200


def detect_in_decisions(decisions: Sequence[NewDecision], now: dt.datetime) -> None:
    """Changed splits, leaders, decided experiments. Decisions for past days are no news."""
    today = timezone.localdate(now)
    current = [decision for decision in decisions if decision.allocation.target_date >= today]
    if not current:
        return
    experiments = {d.allocation.experiment_id: d.allocation.experiment for d in current}
    happened = sync_alarms(experiments, _BY_DECISION, _reached(current), now)
    queue([*_changes(current), *happened], now)


def detect_in_sweep(target_date: dt.date, now: dt.datetime) -> None:
    """Traffic that does not arrive as split, and data that stay away. One that fails stops no other."""
    clear_where_not_active(_BY_SWEEP, now)
    stale = set(stale_experiments(target_date).values_list("pk", flat=True))
    alarmed = set(
        Alarm.objects.filter(kind__in=_BY_SWEEP, cleared_at=None).values_list("experiment", flat=True)
    )
    experiments = active_experiments().prefetch_related(variants_in_order()).order_by("pk")
    for experiment in experiments.iterator(chunk_size=_CHUNK):
        try:
            holding = _found_in(experiment, experiment.pk in stale, target_date)
            if holding or experiment.pk in alarmed:
                _settle_one(experiment, holding, now)
        except Exception:
            logger.exception("looking for alarms failed for experiment %s", experiment.pk)


def _settle_one(experiment: Experiment, holding: ActiveConditions, now: dt.datetime) -> None:
    with transaction.atomic():
        lock_experiments([experiment.pk])
        queue(sync_alarms({experiment.pk: experiment}, _BY_SWEEP, holding, now), now)


def _reached(decisions: Sequence[NewDecision]) -> ActiveConditions:
    holding: dict[tuple[int, str], dict[str, Any] | None] = {}
    for decision in decisions:
        row = decision.allocation
        facts = _leading(decision) if _has_enough_data(row.inputs) else None
        if row.state in {State.LEADER, State.DECIDED}:
            holding[row.experiment_id, Alarm.Kind.LEADER_FOUND] = facts
        if row.state == State.DECIDED:
            holding[row.experiment_id, Alarm.Kind.EXPERIMENT_DECIDED] = facts
    return holding


def _has_enough_data(inputs: Mapping[str, Any]) -> bool:
    impressions = inputs["earlier_impressions"] + sum(counts[2] for counts in inputs["counts"])
    return bool(
        inputs["days_with_data"] >= settings.ALARM_GRACE_DAYS
        and impressions >= settings.ALARM_MIN_IMPRESSIONS
    )


def _leading(decision: NewDecision) -> dict[str, Any]:
    leader = max(decision.shares, key=lambda share: share.probability_best or 0.0)
    return {
        "target_date": decision.allocation.target_date.isoformat(),
        "leader": leader.variant.key,
        "probability_best": leader.probability_best,
        "value_remaining": decision.allocation.value_remaining,
    }


def _changes(decisions: Sequence[NewDecision]) -> list[NewEvent]:
    """Those whose shares differ from the ones that were in force until now; nothing is asked if nobody wants them."""
    endpoints = Endpoint.objects.filter(is_active=True)
    if not any(endpoint.wants(EventKind.ALLOCATION_CHANGED) for endpoint in endpoints):
        return []
    before = _shares_before([decision.allocation for decision in decisions])
    changed = []
    for row, shares in decisions:
        now_in_force = {share.variant.key: float(share.share) for share in shares}
        if now_in_force != before.get(row.experiment_id):
            data = _split(row, now_in_force, before.get(row.experiment_id))
            changed.append(NewEvent(EventKind.ALLOCATION_CHANGED, row.experiment, data))
    return changed


def _shares_before(rows: Sequence[Allocation]) -> dict[int, dict[str, float]]:
    """By experiment id and variant key; one query."""
    earlier = Allocation.objects.exclude(pk__in=[row.pk for row in rows])
    last = earlier.newest_of([row.experiment_id for row in rows], rows[0].target_date)
    shares: defaultdict[int, dict[str, float]] = defaultdict(dict)
    found = AllocationShare.objects.filter(allocation__in=last.values("pk"))
    for pk, key, share in found.values_list("allocation__experiment_id", "variant__key", "share"):
        shares[pk][key] = float(share)
    return dict(shares)


def _split(row: Allocation, shares: dict[str, float], before: dict[str, float] | None) -> dict[str, Any]:
    return {
        "target_date": row.target_date.isoformat(),
        "revision": row.revision,
        "kind": str(row.kind),
        "state": str(row.state),
        "reason": row.reason,
        "shares": shares,
        "previous_shares": before,
    }


def _found_in(experiment: Experiment, is_stale: bool, date: dt.date) -> ActiveConditions:
    holding: dict[tuple[int, str], dict[str, Any] | None] = {}
    if is_stale:
        holding[experiment.pk, Alarm.Kind.NO_DATA] = {"days": settings.NO_DATA_DAYS, "date": date.isoformat()}
    found = sample_ratio_of(experiment, date)
    if found is not None and found["mismatch"]:
        holding[experiment.pk, Alarm.Kind.SAMPLE_RATIO_MISMATCH] = (
            _mismatch(found)
            if found["days"] >= settings.ALARM_GRACE_DAYS
            and sum(found["observed"].values()) >= settings.ALARM_MIN_IMPRESSIONS
            else None
        )
    return holding


def _mismatch(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: found[name] for name in ("p_value", "chi_square", "observed", "expected")}
