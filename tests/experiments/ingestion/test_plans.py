"""How PostgreSQL runs the statement of a day's totals where experiments are many: by a plan that it keeps."""

import datetime as dt
from collections.abc import Sequence
from itertools import islice

import pytest
from django.db import connection
from django.db.models import Model

from experiments.audit.intake import IntakeLine
from experiments.ingestion.upsert import recorded_at_once
from experiments.metrics import DailyCounts
from experiments.models import Experiment, Variant

pytestmark = pytest.mark.django_db(transaction=True)

_NOW = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
_NAMES = ("a", "b", "c", "d")
_MANY = 10_000
# PostgreSQL plans a prepared statement for its values five times, before it may keep a plan for all.
_TRIES = 5


def _many_experiments() -> list[int]:
    """Make as many as let PostgreSQL look for a few of them by an index, which small tables are too short for."""
    Experiment.objects.bulk_create([Experiment(pk=1, key="e", name="E")])
    first = [Variant(pk=pk, experiment_id=1, key=name, name=name) for pk, name in enumerate(_NAMES, 1)]
    Variant.objects.bulk_create(first)
    _copy(Experiment, id="id + n", key="key || n")
    _copy(Variant, id=f"id + {len(_NAMES)} * n", experiment_id="experiment_id + n")
    return list(range(1, _MANY + 1))


def _copy(model: type[Model], **changed: str) -> None:
    columns = [str(field.column) for field in model._meta.concrete_fields]
    values = ", ".join(changed.get(column, column) for column in columns)
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table}, generate_series(1, %s) n",  # noqa: S608
            [_MANY - 1],
        )
        cursor.execute(f"ANALYZE {table}")


def _record(ids: Sequence[int], impressions: int) -> None:
    rows = [(pk, DailyCounts(_NOW.date(), name, impressions, 1, 0)) for pk in ids for name in _NAMES]
    assert recorded_at_once(rows, ids, _NOW, IntakeLine(_NOW.date(), "key", "api"))


def test_writes__of_few_among_many_experiments__are_not_planned_each_time(on_postgresql: None) -> None:
    few = iter(_many_experiments())

    for at_once in (1, 4):
        connection.close()  # a connection without statements, which plans what this test runs
        for n in range(_TRIES + 2):
            _record(list(islice(few, at_once)), 10 + n)

        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT generic_plans, custom_plans FROM pg_prepared_statements "
                "WHERE statement LIKE '%INSERT INTO experiments_dailymetric%'"
            )
            assert cursor.fetchall() == [(2, _TRIES)], at_once
