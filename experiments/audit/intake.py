"""Rows that programs have recorded: who, on which day, how many. One line a day for each, however often they call."""

import datetime as dt
from collections.abc import Mapping
from typing import NamedTuple

from django.db import connection, models

from experiments.audit import ACTOR_LENGTH, recorded_actor

# A line for so many days: beyond that the data themselves say what there is.
KEPT_DAYS = 400
# SQLite takes 32,766 parameters in a statement.
_CHUNK = 1000


class Intake(models.Model):
    """Rows that one caller recorded for an experiment on a day in one way; blank is a command or no key."""

    experiment = models.ForeignKey("Experiment", on_delete=models.CASCADE, related_name="intakes")
    date = models.DateField()
    actor = models.CharField(max_length=ACTOR_LENGTH, blank=True)
    source = models.CharField(max_length=12)
    row_count = models.BigIntegerField()
    calls = models.BigIntegerField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("experiment", "date", "actor", "source"), name="intake_unique"),
        )

    def __str__(self) -> str:
        return f"{self.row_count} rows on {self.date}"


class IntakeLine(NamedTuple):
    """The line of a day to which a recording adds its rows."""

    date: dt.date
    actor: str
    source: str


def line_of_caller(source: str, today: dt.date) -> IntakeLine:
    """Return the line of today for the one who is calling, in this way."""
    return IntakeLine(today, recorded_actor() or "", source)


# Its rows stand between: VALUES or a SELECT.
UPSERT_INTAKE = """
INSERT INTO experiments_intake
    (experiment_id, date, actor, source, row_count, calls, first_at, last_at)
{rows}
ON CONFLICT (experiment_id, date, actor, source) DO UPDATE SET
    row_count = experiments_intake.row_count + excluded.row_count,
    calls = experiments_intake.calls + 1, last_at = excluded.last_at
"""
_ROW = "(%s, %s, %s, %s, %s, 1, %s, %s)"


def note_intake(rows: Mapping[int, int], line: IntakeLine, now: dt.datetime) -> None:
    """Add to the day's lines the numbers of recorded rows, by experiment id; one statement.

    Call in the transaction that records the rows: an experiment deleted meanwhile then has neither.
    """
    date, moment = (
        connection.ops.adapt_datefield_value(line.date),
        connection.ops.adapt_datetimefield_value(now),
    )
    values = [
        (pk, date, line.actor, line.source, count, moment, moment) for pk, count in sorted(rows.items())
    ]
    for start in range(0, len(values), _CHUNK):
        chunk = values[start : start + _CHUNK]
        with connection.cursor() as cursor:
            statement = UPSERT_INTAKE.format(rows=f"VALUES {', '.join([_ROW] * len(chunk))}")
            cursor.execute(statement, [value for row in chunk for value in row])


def prune_intakes(*, today: dt.date) -> int:
    """Delete lines that are older than KEPT_DAYS; return their number."""
    return Intake.objects.filter(date__lt=today - dt.timedelta(days=KEPT_DAYS)).delete()[0]
