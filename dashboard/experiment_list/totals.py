"""Sums over the running experiments, above the list."""

import datetime as dt
from typing import NamedTuple

from django.core.cache import cache

from allocation.ledger.newest import IN_FORCE
from dashboard.experiment_list.listing import TRAFFIC_DAYS
from experiments.database.rows import rows_of
from experiments.metrics import COUNTS, Measure, Reward
from experiments.models import Status

# With so many experiments the sums are a minute old at most; with fewer they are new at each look.
_MANY, _SECONDS = 500, 60
# Of those decided for that very date, which are most of them, the gain is read at once; the log is asked about others.
_THEN = """SELECT experiment_id, gained_over_even FROM (
        SELECT experiment_id, gained_over_even,
            row_number() OVER (PARTITION BY experiment_id ORDER BY revision DESC) AS place
        FROM allocation_allocation WHERE target_date = {then}
    ) of_that_date WHERE place = 1"""
_BEFORE_THEN = """SELECT {value} FROM allocation_allocation o WHERE o.experiment_id = e.id AND o.target_date < {then}
    ORDER BY o.target_date DESC, o.revision DESC LIMIT 1"""
_FIRST = """SELECT o.gained_over_even FROM allocation_allocation o WHERE o.experiment_id = e.id
    ORDER BY o.target_date, o.revision DESC LIMIT 1"""
# All impressions less those of what does not run, which has few rows of these days: to find what each of all rows
# belongs to takes three times as long as to add them up. A gain that was not recorded both now and then is left out:
# its difference is null. What the first decision of all found, of days that others had split, is no gain of the week.
_TOTALS = f"""
SELECT e.reward, count(*), (
    SELECT sum(impressions) FROM experiments_dailymetric WHERE date > {{then}} AND date <= {{today}}
), (
    SELECT sum(m.impressions) FROM experiments_experiment o JOIN experiments_variant v ON v.experiment_id = o.id
    JOIN experiments_dailymetric m ON m.variant_id = v.id AND m.date > {{then}} AND m.date <= {{today}}
    WHERE o.status <> '{Status.ACTIVE.value}' OR o.archived_at IS NOT NULL
), sum(latest.gained_over_even - CASE
    WHEN earlier.experiment_id IS NOT NULL THEN earlier.gained_over_even
    WHEN ({_BEFORE_THEN.replace("{value}", "1")}) IS NULL THEN ({_FIRST})
    ELSE ({_BEFORE_THEN.replace("{value}", "o.gained_over_even")}) END)
FROM experiments_experiment e
LEFT JOIN ({IN_FORCE}) latest ON latest.experiment_id = e.id
LEFT JOIN ({_THEN}) earlier ON earlier.experiment_id = e.id
WHERE e.status = '{Status.ACTIVE.value}' AND e.archived_at IS NULL GROUP BY e.reward
"""  # noqa: S608 (constants only)


class Totals(NamedTuple):
    """Sums over the running experiments in the last 7 days; the gain in each count that is a goal's success.

    Values are left out: one experiment's may be in another currency.
    """

    running: int
    impressions: int
    gains: list[tuple[Measure, float]]


def totals(experiments: int, today: dt.date) -> Totals:
    """Add up the impressions and the recorded gains of those that run, of so many experiments in all; one query."""
    if experiments < _MANY:
        return _totals(today)
    return cache.get_or_set(f"list:totals:{today}", lambda: _totals(today), _SECONDS) or _totals(today)


def _totals(today: dt.date) -> Totals:
    then = today - dt.timedelta(days=TRAFFIC_DAYS)
    rows = rows_of(_TOTALS.format(then=f"'{then.isoformat()}'", today=f"'{today.isoformat()}'"), [])
    goals = {goal.successes_count.name: 0.0 for goal in Reward}
    for reward, _running, _all, _of_others, gained in rows:
        goals[Reward(reward).successes_count.name] += gained or 0.0
    gains = [(count, goals[count.name]) for count in COUNTS if count.name in goals]
    # both are the sums over all experiments, in each row
    impressions = (rows[0][2] or 0) - (rows[0][3] or 0) if rows else 0
    return Totals(sum(row[1] for row in rows), int(impressions), gains)
