"""Words of a command at a terminal: its own, which no line of the log repeats."""

import logging
from typing import Any

import pytest
from django.core.management import call_command
from pytest_django import Settings

from experiments.management.plain import PlainCommand
from tests.conftest import ROOT
from tests.factory import counts, make_experiment, make_running, record

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("today")]

SAMPLE = ROOT / "benchmarks/data/sample_daily_metrics.csv"


@pytest.fixture
def events(caplog: pytest.LogCaptureFixture) -> Any:
    """The events that are logged, as they are where LOG_LEVEL is not set."""
    caplog.set_level(logging.INFO)
    return lambda: [record.msg["event"] for record in caplog.records if record.name == "bandit"]  # type: ignore[index]  # structlog's


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("allocate", []),
        ("import_events", [str(SAMPLE), "--create"]),
        ("create_api_key", ["shop"]),
        ("reset_data", ["--yes", "--force"]),
    ],
)
def test_command__prints_what_it_did__logs_none_of_it(events: Any, command: str, options: list[str]) -> None:
    record(make_experiment("Running"), counts("control", 100, 1), counts("b", 100, 2))
    before = len(events())

    call_command(command, *options)

    assert before == 1  # the log is listened to
    assert events()[before:] == []


def test_command__level_was_asked_for__logs_as_before(events: Any, settings: Settings) -> None:
    settings.COMMAND_LOG_LEVEL = "INFO"
    make_running()

    call_command("allocate")

    assert "sweep.finished" in events()


def test_command__over__the_level_is_as_before() -> None:
    class Failing(PlainCommand):
        def handle(self, *args: Any, **options: Any) -> None:
            assert logging.getLogger("bandit").level == logging.WARNING
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        call_command(Failing())

    assert logging.getLogger("bandit").level == logging.NOTSET
