import signal
import threading
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import close_old_connections
from django.utils import timezone

from bandit_project.ops.heartbeats import touch_file
from bandit_project.ops.scheduler import run_due
from experiments.events import log_event, subscribe

_PAUSE_SECONDS = 60.0


class Command(BaseCommand):
    help = "Decide every day, look for alarms, deliver notifications, prune: for installations without cron."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="Do what is due now, and end.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["once"]:
            run_due(timezone.now())
            return
        stop = _stop_at_a_signal()
        # Decisions and deliveries are events: a long round that gets on is not taken for one that hangs.
        subscribe(_touch_at_an_event)
        at = settings.SCHEDULER_ALLOCATE_AT.strftime("%H:%M")
        log_event("scheduler.started", decides_from=at, time_zone=settings.TIME_ZONE)
        while not stop.is_set():
            touch_file()
            run_due(timezone.now(), _touching(stop.is_set))
            close_old_connections()  # After an outage of the database the next round connects again.
            touch_file()
            stop.wait(_PAUSE_SECONDS)
        log_event("scheduler.stopped")


def _stop_at_a_signal() -> threading.Event:
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    return stop


def _touching(stopped: Callable[[], bool]) -> Callable[[], bool]:
    def touch_and_ask() -> bool:
        touch_file()
        return stopped()

    return touch_and_ask


def _touch_at_an_event(event: str, facts: Mapping[str, Any]) -> None:
    touch_file()
