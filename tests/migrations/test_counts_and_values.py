"""The migrations that let conversions exceed clicks and add values, run on a database with rows of the version before."""

import datetime as dt
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.db.migrations.executor import MigrationExecutor
from pytest_django import DjangoDbBlocker

from tests.committed import committed

# The test of the way back goes on from where the others have been.
pytestmark = pytest.mark.xdist_group("migrations")

_BEFORE, _AFTER = "0006_memory_and_dispersion", "0013_validate_daily_checks"
Migrate = Callable[[str], Any]


@pytest.fixture(scope="module")
def migrate(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Migrate]:
    """Move the app's tables to a migration and return its models; in the end all are applied again."""

    def to(name: str) -> Any:
        executor = MigrationExecutor(connection)
        executor.migrate([("experiments", name)])
        return MigrationExecutor(connection).loader.project_state([("experiments", name)]).apps

    with django_db_blocker.unblock(), committed():
        leaves = MigrationExecutor(connection).loader.graph.leaf_nodes()
        yield to
        MigrationExecutor(connection).migrate(leaves)


@pytest.fixture(scope="module")
def filled(migrate: Migrate) -> Any:
    """A row of the version before, at the version after."""
    row = _fill(migrate(_BEFORE))
    return row, migrate(_AFTER)


def _fill(apps: Any) -> Any:
    """Store a day whose conversions equal its clicks, the most that there could be."""
    experiment = apps.get_model("experiments", "Experiment").objects.create(key="a", name="a")
    variant = apps.get_model("experiments", "Variant").objects.create(
        experiment=experiment, key="control", name="control", is_control=True
    )
    return apps.get_model("experiments", "DailyMetric").objects.create(
        variant=variant, date=dt.date(2025, 8, 14), impressions=100, clicks=7, conversions=7
    )


def test_migrate__rows_of_the_version_before__stay_without_values(filled: Any) -> None:
    row, apps = filled

    stored = apps.get_model("experiments", "DailyMetric").objects.get()
    assert (stored.pk, stored.impressions, stored.clicks, stored.conversions) == (row.pk, 100, 7, 7)
    assert (stored.value_sum, stored.value_squares) == (Decimal(0), 0.0)
    experiment = apps.get_model("experiments", "Experiment").objects.get()
    assert (experiment.on_end, experiment.tags, experiment.fixed_variants) == ("pause", "", False)


def test_migrate__after__the_new_checks_hold_and_the_version_before_can_still_write(filled: Any) -> None:
    _row, apps = filled
    rows = apps.get_model("experiments", "DailyMetric").objects

    rows.update(conversions=100)
    with pytest.raises(IntegrityError):
        rows.update(conversions=101)
    # a server of the version before names no value columns
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO experiments_dailymetric (variant_id, date, impressions, clicks, conversions, updated_at) "
            "SELECT variant_id, '2025-08-15', 10, 1, 0, updated_at FROM experiments_dailymetric"
        )
    assert rows.filter(value_sum=0, value_squares=0).count() == 2


def test_migrate__back_with_rows_that_the_old_check_refuses__fails_and_keeps_them(
    filled: Any, migrate: Migrate
) -> None:
    _row, apps = filled
    rows = apps.get_model("experiments", "DailyMetric").objects
    rows.filter(date=dt.date(2025, 8, 15)).delete()
    rows.update(conversions=8)

    with pytest.raises(IntegrityError):
        migrate(_BEFORE)

    with connection.cursor() as cursor:
        cursor.execute("SELECT conversions FROM experiments_dailymetric")
        assert cursor.fetchall() == [(8,)]
        cursor.execute("UPDATE experiments_dailymetric SET conversions = 7")
    assert migrate(_BEFORE).get_model("experiments", "DailyMetric").objects.get().conversions == 7
