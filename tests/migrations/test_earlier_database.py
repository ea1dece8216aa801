"""A database of an earlier version: migrate brings it up to date, and every decision in it still verifies.

data/engine_1.sqlite3.gz was filled by the code of commit 8a6f25d: five experiments of all statuses and goals with own
settings, a retired and an added variant, revisions, alarms, deliveries, a key, a user and a waiting import. That code's
export of it, imported into PostgreSQL, is data/engine_1.sql.gz.
data/engine_2.sqlite3.gz was filled by the code of commit 8c1612c, with what engine 2 decides by other rules since: a
retired variant with little data, days that are not mature, weekly reports, no variant that can be judged, days that
arrive in part or late, and experiments completed with and without a decision before.
"""

import gzip
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.bandit_project.starts import manage
from tests.processes.clusters import database_of_its_own

# In one process: another would bring a database of its own up to date.
pytestmark = [pytest.mark.database_free, pytest.mark.xdist_group("earlier")]

_DATA = Path(__file__).parent / "data"
_KEPT = {
    "experiments_experiment": 5,
    "experiments_dailymetric": 254,
    "allocation_allocation": 130,
    "allocation_allocationshare": 287,
    "notifications_alarm": 10,
    "notifications_delivery": 56,
    "bandit_project_apikey": 1,
    "auth_user": 1,
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def migrated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of the database after ``migrate``."""
    if request.param == "sqlite":
        yield _migrated("engine_1", tmp_path_factory.mktemp("earlier"))
        return
    with database_of_its_own() as folder:
        url = f"postgresql://postgres:@/bandit?host={folder}"
        with psycopg.connect(url) as connection:
            connection.execute(gzip.decompress((_DATA / "engine_1.sql.gz").read_bytes()))
        _manage(url, "migrate", "--verbosity", "0")
        yield url


def _migrated(name: str, directory: Path) -> str:
    database = directory / "bandit.sqlite3"
    database.write_bytes(gzip.decompress((_DATA / f"{name}.sqlite3.gz").read_bytes()))
    _manage(f"sqlite:///{database}", "migrate", "--verbosity", "0")
    return f"sqlite:///{database}"


def test_migrate__earlier_database__keeps_every_row(migrated: str) -> None:
    # our own names
    found = {table: _rows(migrated, f"SELECT COUNT(*) FROM {table}")[0][0] for table in _KEPT}  # noqa: S608

    assert found == _KEPT


def test_migrate__earlier_database__is_complete(migrated: str) -> None:
    assert "[ ]" not in _manage(migrated, "showmigrations", "--plan")


def test_migrate__earlier_database__keeps_the_newest_decision_of_each_experiment(migrated: str) -> None:
    kept = _rows(migrated, "SELECT decision FROM allocation_newestdecision ORDER BY decision")

    assert kept == _rows(
        migrated,
        "SELECT id FROM allocation_allocation a WHERE NOT EXISTS (SELECT 1 FROM allocation_allocation n "
        "WHERE n.experiment_id = a.experiment_id AND (n.target_date > a.target_date "
        "OR n.target_date = a.target_date AND n.revision > a.revision)) ORDER BY id",
    )
    assert kept


def test_verify_ledger__earlier_database__finds_no_difference(migrated: str) -> None:
    assert "130 computed again, 0 differ" in _manage(migrated, "verify_ledger")


def test_verify_ledger__earlier_decisions_of_engine_2__follow_from_their_own_rules(tmp_path: Path) -> None:
    database = _migrated("engine_2", tmp_path)
    assert "17 computed again, 0 differ" in _manage(database, "verify_ledger")

    _manage(database, "allocate", "--all", "--date", "2026-11-20")

    assert "24 computed again, 0 differ" in _manage(database, "verify_ledger")


def test_allocate__earlier_database__goes_on_from_the_last_decision(migrated: str) -> None:
    said = _manage(migrated, "allocate", "--experiment", "checkout-button", "--date", "2026-10-25")

    assert "revision 1" in said
    assert "1 computed" in said


def test_migrate__back_to_the_earlier_version__keeps_the_inputs_of_every_decision(
    migrated: str, tmp_path: Path
) -> None:
    database = migrated
    if migrated.startswith("sqlite"):
        shutil.copy(migrated.removeprefix("sqlite:///"), tmp_path / "bandit.sqlite3")
        database = f"sqlite:///{tmp_path / 'bandit.sqlite3'}"
    _manage(database, "allocate", "--experiment", "checkout-button", "--date", "2026-10-26")

    _manage(database, "migrate", "allocation", "0002", "--verbosity", "0")

    rows = _rows(database, "SELECT engine_version, inputs FROM allocation_allocation")
    assert {version for version, _inputs in rows} == {"1", "2"}
    assert all(_from_json(inputs)["variants"] for _version, inputs in rows)


def _from_json(inputs: Any) -> Any:
    """Read SQLite's text; PostgreSQL's driver has read it already."""
    return json.loads(inputs) if isinstance(inputs, str) else inputs


def _rows(url: str, query: str) -> list[Any]:
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            return connection.execute(query).fetchall()
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()  # type: ignore[call-overload]  # our own text


def _manage(url: str, *arguments: str) -> str:
    return manage(*arguments, DATABASE_URL=url, DEBUG="true").stdout
