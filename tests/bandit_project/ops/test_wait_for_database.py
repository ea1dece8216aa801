"""Commands that wait for their database."""

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

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


@pytest.mark.django_db(transaction=True)
def test_wait_for_database__server_closed_the_connection_meanwhile__connects_again() -> None:
    connection.ensure_connection()
    connection.connection.close()

    call_command("wait_for_database", "--seconds", "2", "--migrated")
