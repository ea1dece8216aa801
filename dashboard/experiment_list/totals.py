"""Sums over the running experiments, above the list."""

import datetime as dt
from typing import NamedTuple

from django.core.cache import cache
from django.db.models import Sum

from experiments.database.rows import rows_of
from experiments.metrics import COUNTS, Measure, Reward
from experiments.models import DailyMetric, Status

TOTALS_DAYS = 7
# With so many experiments the sums are a minute old at most; with fewer they are new at each look.
_MANY, _SECONDS = 500, 60
_IN_FORCE = """(
    SELECT n.id FROM allocation_allocation n WHERE n.experiment_id = e.id AND n.target_date <= %s
    ORDER BY n.target_date DESC, n.revision DESC LIMIT 1
)"""
# A gain that was not recorded both now and then is left out: its difference is null. Before the first decision it is 0.
_TOTALS = f"""
SELECT e.reward, count(*), sum((
    SELECT sum(m.impressions) FROM experiments_variant v JOIN experiments_dailymetric m ON m.variant_id = v.id
    WHERE v.experiment_id = e.id AND m.date > %s AND m.date <= %s
)), sum(latest.gained_over_even - CASE WHEN earlier.id IS NULL THEN 0 ELSE earlier.gained_over_even END)
FROM experiments_experiment e
LEFT JOIN allocation_allocation latest ON latest.id = {_IN_FORCE}
LEFT JOIN allocation_allocation earlier ON earlier.id = {_IN_FORCE}
WHERE e.status = %s AND e.archived_at IS NULL GROUP BY e.reward
"""  # noqa: S608 (placeholders only)


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


def totals(experiments: int, today: dt.date) -> Totals:
    """Add up the impressions and the recorded gains of those that run, of so many experiments in all; one query."""
    if experiments < _MANY:
        return _totals(today)
    return cache.get_or_set(f"list:totals:{today}", lambda: _totals(today), _SECONDS) or _totals(today)


def _totals(today: dt.date) -> Totals:
    then = (today - dt.timedelta(days=TOTALS_DAYS)).isoformat()
    now = today.isoformat()
    rows = rows_of(_TOTALS, [then, now, now, then, Status.ACTIVE.value])
    goals = {goal.successes_count.name: 0.0 for goal in Reward}
    for reward, _running, _impressions, gained in rows:
        goals[Reward(reward).successes_count.name] += gained or 0.0
    gains = [(count, goals[count.name]) for count in COUNTS if count.name in goals]
    return Totals(sum(row[1] for row in rows), int(sum(row[2] or 0 for row in rows)), gains)
