import signal
import threading
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import close_old_connections
from django.utils import timezone

from bandit_project.ops.scheduler import run_due

_PAUSE_SECONDS = 60.0


class Command(BaseCommand):
    help = "Decide every day, look for alarms, deliver notifications, prune: for installations without cron."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="Do what is due now, and end.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["once"]:
            run_due(timezone.now())
            return
        stop = threading.Event()

        def end(number: int, frame: FrameType | None) -> None:
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        at = settings.SCHEDULER_ALLOCATE_AT.strftime("%H:%M")
        self.stdout.write(
            f"Scheduler: decides daily from {at} ({settings.TIME_ZONE}), delivers every minute."
        )
        self.stdout.flush()
        while not stop.is_set():
            run_due(timezone.now(), stop.is_set)
            close_old_connections()  # After an outage of the database the next round connects again.
            stop.wait(_PAUSE_SECONDS)
        self.stdout.write("Scheduler: stopped.")
