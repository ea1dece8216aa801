"""A database of an earlier version: migrate brings it up to date, and every decision in it still verifies.

data/engine_1.sqlite3.gz was filled by the code of commit 8a6f25d: five experiments of all statuses and goals with own
settings, a retired and an added variant, revisions, alarms, deliveries, a key, a user and a waiting import.
data/engine_2.sqlite3.gz was filled by the code of commit 8c1612c, with what engine 2 decides by other rules since: a
retired variant with little data, days that are not mature, weekly reports, no variant that can be judged, days that
arrive in part or late, and experiments completed with and without a decision before.
"""

import gzip
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.database_free

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


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _migrated("engine_1", tmp_path_factory.mktemp("earlier"))


def _migrated(name: str, directory: Path) -> Path:
    database = directory / "bandit.sqlite3"
    packed = Path(__file__).parent / "data" / f"{name}.sqlite3.gz"
    database.write_bytes(gzip.decompress(packed.read_bytes()))
    _manage(database, "migrate", "--verbosity", "0")
    return database


def test_migrate__earlier_database__keeps_every_row(migrated: Path) -> None:
    with closing(sqlite3.connect(migrated)) as connection:
        found = {
            table: connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]  # noqa: S608  # our own names
            for table in _KEPT
        }

    assert found == _KEPT


def test_migrate__earlier_database__is_complete(migrated: Path) -> None:
    assert "[ ]" not in _manage(migrated, "showmigrations", "--plan")


def test_verify_ledger__earlier_database__finds_no_difference(migrated: Path) -> None:
    assert "130 computed again, 0 differ" in _manage(migrated, "verify_ledger")


def test_verify_ledger__earlier_decisions_of_engine_2__follow_from_their_own_rules(tmp_path: Path) -> None:
    database = _migrated("engine_2", tmp_path)
    assert "17 computed again, 0 differ" in _manage(database, "verify_ledger")

    _manage(database, "allocate", "--all", "--date", "2026-11-20")

    assert "24 computed again, 0 differ" in _manage(database, "verify_ledger")


def test_allocate__earlier_database__goes_on_from_the_last_decision(migrated: Path) -> None:
    said = _manage(migrated, "allocate", "--experiment", "checkout-button", "--date", "2026-10-25")

    assert "revision 1" in said
    assert "1 computed" in said


def test_migrate__back_to_the_earlier_version__keeps_the_inputs_of_every_decision(
    migrated: Path, tmp_path: Path
) -> None:
    database = tmp_path / "bandit.sqlite3"
    shutil.copy(migrated, database)
    _manage(database, "allocate", "--experiment", "checkout-button", "--date", "2026-10-26")

    _manage(database, "migrate", "allocation", "0002", "--verbosity", "0")

    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT engine_version, inputs FROM allocation_allocation").fetchall()
    assert {version for version, _inputs in rows} == {"1", "2"}
    assert all(json.loads(inputs)["variants"] for _version, inputs in rows)


def _manage(database: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": f"sqlite:///{database}", "DEBUG": "true"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
