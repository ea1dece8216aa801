"""Sums over the running experiments, above the list."""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from django.db.models import Sum

from allocation.models import Allocation
from dashboard.experiment_list.stages import Listed
from experiments.metrics import COUNTS, Measure, Reward
from experiments.models import DailyMetric, Experiment

TOTALS_DAYS = 7


class Totals(NamedTuple):
    """Sums over the running experiments in the last 7 days; the gain in each count that is a goal's success.

    Values are left out: one experiment's may be in another currency.
    """

    running: int
    impressions: int
    gains: list[tuple[Measure, float]]


def recent_impressions(today: dt.date) -> dict[int, int]:
    """Add up the impressions of the last 7 days, by experiment id; one query."""
    recent = DailyMetric.objects.filter(date__gt=today - dt.timedelta(days=TOTALS_DAYS), date__lte=today)
    sums = recent.order_by().values_list("variant__experiment_id").annotate(total=Sum("impressions"))
    return {pk: int(total) for pk, total in sums}


def totals(entries: Sequence[Listed], today: dt.date, recent: Mapping[int, int]) -> Totals:
    """Add up the impressions, ``recent`` ones, and the recorded gains of those that run; one query.

    Experiments whose gain was not recorded both now and then are left out.
    """
    running = [one for one in entries if one.runs]
    impressions = sum(recent.get(one.pk, 0) for one in running)
    before = _gained_before(today - dt.timedelta(days=TOTALS_DAYS))
    gained: dict[str, float] = defaultdict(float)
    for one in running:
        now, then = one.decision and one.decision.gained_over_even, before.get(one.pk, 0.0)
        if now is not None and then is not None:
            gained[Reward(one.reward).successes_count.name] += now - then
    goals = {goal.successes_count.name for goal in Reward}
    gains = [(count, gained[count.name]) for count in COUNTS if count.name in goals]
    return Totals(len(running), impressions, gains)


def _gained_before(then: dt.date) -> dict[int, float | None]:
    """The gain that each running experiment's decision of that day had recorded."""
    running = Experiment.objects.running().order_by().values_list("pk", flat=True)
    rows = Allocation.objects.newest_of(running, then).order_by()
    return dict(rows.values_list("experiment_id", "gained_over_even"))
