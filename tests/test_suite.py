"""The suite itself."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.models import Experiment, Variant
from tests.committed import committed
from tests.conftest import ON_BOTH, ROOT
from tests.exploration import EXPLORING, adapt
from tests.factory import allocate, make_running
from tests.migrated import FILE, _keep_file
from tests.reports import is_uneventful
from tests.schedule import ordered, units_of


@pytest.mark.database_free
@pytest.mark.xdist_group("suite")
def test_group__suite_in_several_processes__is_known_to_their_scheduler(
    request: pytest.FixtureRequest,
) -> None:
    """Tests that start services share a process by their group; pytest-xdist keeps its name in the node's id."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        pytest.skip("the suite runs in one process")

    assert request.node.nodeid.endswith("@suite")


@pytest.mark.database_free
def test_units__of_groups_files_and_slow_folders__begin_with_those_that_wait_and_keep_the_order() -> None:
    a, b = (
        [f"tests/test_{name}.py::test_it[{number}]" for number in range(count)]
        for name, count in (("a", 41), ("b", 2))
    )
    browser = [f"tests/browser/test_a.py::test_{name}" for name in "xy"]
    group = ["tests/a/test_c.py::test_x[@]@redis", "tests/a/test_d.py::test_y@redis"]
    waits = "tests/test_examples.py::test_waits"
    tests = [*a, *browser, group[0], *b, group[1], waits, "tests/test_a.py::test_commits"]

    units = units_of(tests)

    assert ordered(units) == ["@redis", waits, *browser, a[0], a[40], b[0], "tests/test_a.py::test_commits"]
    assert [test for test in tests if units[test] == "@redis"] == group
    assert [test for test in tests if units[test] == a[0]] == a[:40]
    assert units[b[1]] == b[0]


@pytest.mark.database_free
@pytest.mark.skipif(EXPLORING, reason="looks for other examples each time")
def test_hypothesis__run_twice__tries_the_same_examples() -> None:
    tried: list[int] = []

    @settings(max_examples=20)
    @given(st.integers())
    def check(number: int) -> None:
        tried.append(number)

    check()
    check()

    assert tried[:20] == tried[20:]


@pytest.mark.database_free
def test_explore__test_with_a_number_of_examples_of_its_own__tries_ten_times_as_many() -> None:
    tried: list[int] = []

    @settings(max_examples=2)
    @given(st.integers())
    def check(number: int) -> None:
        tried.append(number)

    adapt([check, check], times=10)
    check()

    assert len(tried) == 20


@pytest.mark.database_free
def test_hypothesis__test_with_health_checks_of_its_own__may_take_its_time_too() -> None:
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.integers())
    def check(number: int) -> None:
        pass

    adapt([check])

    suppressed = check._hypothesis_internal_use_settings.suppress_health_check  # type: ignore[attr-defined]
    assert set(suppressed) == {HealthCheck.function_scoped_fixture, HealthCheck.too_slow}


@pytest.mark.database_free
def test_tests_of_pages_on_both_databases__each_that_is_named__is_there() -> None:
    assert [name for name in ON_BOTH if not (ROOT / name).is_file()] == []


@pytest.mark.django_db
def test_database__migrated_once_for_all_processes__has_all_migrations() -> None:
    call_command("migrate", check_unapplied=True, verbosity=0)

    assert MigrationRecorder(connection).applied_migrations().keys() >= {("experiments", "0001_initial")}


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL copies databases itself")
def test_copy__of_a_migrated_file__has_the_rows_and_tables_of_the_moment(tmp_path: Path) -> None:
    Group.objects.create(name="kept")

    _keep_file(tmp_path)

    with closing(sqlite3.connect(tmp_path / FILE)) as copy:
        assert ("kept",) in copy.execute("SELECT name FROM auth_group").fetchall()
        tables = {name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables >= set(connection.introspection.table_names())


@pytest.mark.django_db(transaction=True)
def test_committed__rows_of_its_block__are_gone_afterwards_and_those_before_stay() -> None:
    Group.objects.create(name="before")
    groups = set(Group.objects.values_list("name", flat=True))

    with committed():
        allocate(make_running())
        assert Experiment.objects.count() == 1

    assert not Experiment.objects.exists()
    assert not Experiment.history.exists()
    assert set(Group.objects.values_list("name", flat=True)) == groups >= {"before"}


@pytest.mark.django_db(transaction=True)
def test_flush__tables_with_rows__are_empty_and_their_numbers_go_on() -> None:
    before = make_running()
    allocate(before)

    call_command("flush", interactive=False, verbosity=0, reset_sequences=False)

    assert not Experiment.objects.exists()
    assert not Variant.objects.exists()
    assert make_running().pk > before.pk


@pytest.mark.django_db(transaction=True)
def test_flush__roles_changed_by_a_test__are_those_of_the_migrations_again() -> None:
    roles = {group.name: group.permissions.count() for group in Group.objects.all()}
    Group.objects.create(name="another")
    Group.objects.get(name="viewer").delete()

    call_command("flush", interactive=False, verbosity=0, reset_sequences=False)

    assert {group.name: group.permissions.count() for group in Group.objects.all()} == roles
    assert roles.keys() == {"viewer", "analyst", "admin"}
    Group.objects.create(name="one more")


_QUIET = {"when": "setup", "outcome": "passed", "duration": 0.001, "sections": []}


@pytest.mark.database_free
@pytest.mark.parametrize(
    ("changes", "is_left_out"),
    [
        ({}, True),
        ({"when": "teardown", "sections": [("Captured stdout call", "text")]}, True),
        ({"when": "teardown", "sections": [("Captured stdout teardown", "text")]}, False),
        ({"when": "call"}, False),
        ({"outcome": "failed"}, False),
        ({"outcome": "skipped"}, False),
        ({"duration": 0.005}, False),
    ],
)
def test_messages__of_a_test__only_what_nobody_shows_is_left_out(
    changes: dict[str, object], *, is_left_out: bool
) -> None:
    assert is_uneventful(_QUIET | changes) is is_left_out
