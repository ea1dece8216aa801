"""rollback_to: what it takes back follows from the list alone, and a refusal changes nothing."""

import io
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations import RunPython
from django.db.migrations.recorder import MigrationRecorder

from bandit_project.ops.rollback import plan_rollback, read_plan
from experiments.exceptions import ConflictError, InvalidError

pytestmark = pytest.mark.django_db

HEARTBEATS = ("bandit_project", "0008_heartbeats")


def _plan() -> list[str]:
    out = io.StringIO()
    call_command("showmigrations", "--plan", stdout=out)
    return out.getvalue().splitlines()


def _plan_before_heartbeats() -> list[str]:
    """The list as the version before that migration would have printed it."""
    return [line for line in _plan() if int(_number(line)) < 8 or "bandit_project" not in line]


def _number(line: str) -> str:
    return line.rpartition(".")[2][:4]


def test_plan__as_printed__is_what_is_applied_and_nothing_is_taken_back() -> None:
    before = read_plan(_plan())

    assert HEARTBEATS in before
    assert plan_rollback(before).taken_back == ()


def test_plan__older__takes_back_each_newer_migration_and_no_other() -> None:
    rollback = plan_rollback(read_plan(_plan_before_heartbeats()))

    assert rollback.taken_back[-1] == HEARTBEATS
    assert {app for app, _ in rollback.taken_back} == {"bandit_project"}
    assert rollback.targets == (("bandit_project", "0007_viewers"),)


def test_plan__of_before_an_app_was_there__goes_back_to_none_of_it() -> None:
    before = read_plan(line for line in _plan() if "dashboard." not in line)

    assert plan_rollback(before).targets == (("dashboard", None),)


@pytest.mark.parametrize("text", ["", "hello", "[ ]  auth.0001_initial"])
def test_plan__not_one__is_refused_with_what_it_should_be(text: str) -> None:
    with pytest.raises(InvalidError, match="showmigrations --plan prints"):
        read_plan(text.splitlines())


def test_plan__migration_of_another_version__is_refused_by_name() -> None:
    before = read_plan(_plan())
    MigrationRecorder(connection).record_applied("experiments", "0999_of_tomorrow")

    with pytest.raises(ConflictError, match=r"does not know experiments\.0999_of_tomorrow"):
        plan_rollback(before)


def test_plan__migration_that_cannot_be_taken_back__is_refused_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    migration = import_module("bandit_project.migrations.0008_heartbeats").Migration
    monkeypatch.setattr(migration, "operations", [RunPython(RunPython.noop)])

    with pytest.raises(ConflictError, match=r"bandit_project\.0008_heartbeats cannot be taken back"):
        plan_rollback(read_plan(_plan_before_heartbeats()))


def test_command__with_plan__says_what_it_would_do_and_does_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "before.txt"
    file.write_text("\n".join(_plan_before_heartbeats()))

    call_command("rollback_to", str(file), "--plan")

    assert "bandit_project.0008_heartbeats\n" in capsys.readouterr().out
    assert HEARTBEATS in MigrationRecorder(connection).applied_migrations()


@pytest.fixture
def _migrated_again() -> Iterator[None]:
    yield
    call_command("migrate", verbosity=0)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_migrated_again")
def test_command__run__takes_back_and_a_second_run_finds_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "before.txt"
    file.write_text("\n".join(_plan_before_heartbeats()))

    call_command("rollback_to", str(file))
    assert "bandit_project_heartbeat" not in connection.introspection.table_names()
    call_command("rollback_to", str(file))

    assert "Nothing to take back" in capsys.readouterr().out


def test_command__wrong_file__ends_with_one_line(tmp_path: Path) -> None:
    file = tmp_path / "before.txt"
    file.write_text("hello")

    with pytest.raises(CommandError, match="showmigrations --plan prints"):
        call_command("rollback_to", str(file))
