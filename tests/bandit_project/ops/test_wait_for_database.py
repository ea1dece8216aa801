"""Commands that wait for their database."""

import pytest
from django.core.management import CommandError, call_command

pytestmark = pytest.mark.django_db


def test_wait_for_database__command_behind_it__runs_with_its_options(
    capsys: pytest.CaptureFixture[str],
) -> None:
    call_command("wait_for_database", "--seconds", "1", "showmigrations", "--plan", "serving")

    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert all(line.startswith("[X]  ") for line in lines)


def test_wait_for_database__command_unknown__fails(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises((SystemExit, CommandError)):
        call_command("wait_for_database", "--seconds", "1", "no_such_command")
