"""Alarms about traffic that does not arrive as split, and about missing data.

A sweep settles them before it decides. A decision that finds a result settles that of its traffic itself: pages and the
API read the alarm, and so agree with what was decided.
"""

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from allocation.alerts import is_alarming
from allocation.ledger.statements import VariantKey, variant_keys
from allocation.sample_ratio import SampleRatioResult
from allocation.traffic.closed_days import compared_traffic
from experiments.database.away import is_away
from experiments.models import Experiment
from experiments.services import lock_experiments
from notifications.alarms import ActiveConditions, sync_alarms
from notifications.events import EventKind
from notifications.models import Alarm
from notifications.outbox import queue
from notifications.selectors import stale_experiments

logger = logging.getLogger(__name__)

ALARMS = (EventKind.SAMPLE_RATIO_MISMATCH, EventKind.NO_DATA)


def try_to_alert(ids: Sequence[int], target_date: dt.date, now: dt.datetime) -> set[int]:
    """Return those of the experiments that could be looked at: a fault with others stops no decision."""
    try:
        return alert_on_traffic(ids, target_date, now)
    except Exception as error:
        if is_away(error):
            raise
        logger.exception("looking for alarms failed for %s experiments", len(ids))
        return set()


def alert_on_traffic(ids: Sequence[int], target_date: dt.date, now: dt.datetime) -> set[int]:
    """Raise and clear the alarms about the traffic of these experiments, which run; return those that had no fault."""
    if not ids:
        return set()
    with transaction.atomic():
        lock_experiments(ids)
        stale = set(stale_experiments(target_date).filter(pk__in=ids).values_list("pk", flat=True))
        is_open = _open_alarms(ids)
        ratios = _compared(variant_keys(ids), target_date)
        holding = {pk: _conditions(pk, pk in stale, ratio, target_date) for pk, ratio in ratios.items()}
        news = sorted(pk for pk, active in holding.items() if _is_news(active, is_open[pk]))
        failed = _sync(news, {place: facts for pk in news for place, facts in holding[pk].items()}, now)
        return set(ratios) - failed


def settle_mismatches(variants: Mapping[int, Sequence[VariantKey]], now: dt.datetime) -> dict[int, bool]:
    """Raise and clear the alarm of a mismatch of these experiments, which are locked; return whether each has it now.

    Left out are those that cannot be compared, or not yet: that stops no decision, and their alarm stays as it is.
    """
    kind = EventKind.SAMPLE_RATIO_MISMATCH
    ratios = _compared(variants, timezone.localdate(now))
    sure = {pk: ratio for pk, ratio in ratios.items() if ratio and (is_alarming(ratio) or not ratio.mismatch)}
    wrong: ActiveConditions = {
        (pk, kind): _mismatch_facts(ratio) for pk, ratio in sure.items() if ratio.mismatch
    }
    failed = _sync(sorted(sure), wrong, now, kinds=(kind,))
    return {pk: (pk, kind) in wrong for pk in sure if pk not in failed}


def _open_alarms(ids: Sequence[int]) -> defaultdict[int, set[str]]:
    kinds = defaultdict[int, set[str]](set)
    known = Alarm.objects.filter(experiment__in=ids, kind__in=ALARMS, cleared_at=None)
    for pk, kind in known.values_list("experiment", "kind"):
        kinds[pk].add(kind)
    return kinds


def _is_news(active: ActiveConditions, is_open: Collection[str]) -> bool:
    """True where an alarm is to be raised or cleared; what is as it was costs no query."""
    raised = {kind for (_pk, kind), facts in active.items() if facts is not None}
    return not (raised <= set(is_open) <= {kind for _pk, kind in active})


def _compared(
    variants: Mapping[int, Sequence[VariantKey]], date: dt.date
) -> Mapping[int, SampleRatioResult | None]:
    """The comparison of each experiment; one that cannot be compared is left out, and its alarms stay as they are.

    Raises OperationalError or InterfaceError where the database is away.
    """
    try:
        with transaction.atomic():
            return compared_traffic(variants, date)
    except Exception as error:
        if is_away(error):
            raise
        logger.exception("looking for alarms failed for %s experiments", len(variants))
        if len(variants) == 1:
            return {}
    return {pk: found for one in variants for pk, found in _compared({one: variants[one]}, date).items()}


def _sync(
    ids: Sequence[int], active: ActiveConditions, now: dt.datetime, kinds: Collection[EventKind] = ALARMS
) -> set[int]:
    """Settle the alarms of these experiments at once; a chunk that fails is taken apart. Return those that failed."""
    if not ids:
        return set()
    try:
        with transaction.atomic():
            lock_experiments(ids)
            found = Experiment.objects.in_bulk(ids)  # without those that were deleted meanwhile
            holding = {place: facts for place, facts in active.items() if place[0] in found}
            queue(sync_alarms(found, kinds, holding, now), now)
    except Exception as error:
        if is_away(error):
            raise
        logger.exception("looking for alarms failed for %s experiments", len(ids))
        if len(ids) == 1:
            return set(ids)
        return {failed for pk in ids for failed in _sync([pk], active, now, kinds)}
    return set()


def _conditions(pk: int, is_stale: bool, ratio: SampleRatioResult | None, date: dt.date) -> ActiveConditions:
    active: dict[tuple[int, str], dict[str, Any] | None] = {}
    if is_stale:
        active[pk, EventKind.NO_DATA] = {"days": settings.NO_DATA_DAYS, "date": date.isoformat()}
    if ratio is not None and ratio.mismatch:
        facts = _mismatch_facts(ratio) if is_alarming(ratio) else None
        active[pk, EventKind.SAMPLE_RATIO_MISMATCH] = facts
    return active


def _mismatch_facts(ratio: SampleRatioResult) -> dict[str, Any]:
    return {
        "p_value": ratio.p_value,
        "chi_square": ratio.chi_square,
        "observed": ratio.observed,
        "expected": ratio.expected,
    }
