import time
from argparse import REMAINDER, ArgumentParser
from typing import Any

from django.core.management import execute_from_command_line
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection

from bandit_project.ops.health import database_problem

_PAUSE = 0.5


class Command(BaseCommand):
    help = (
        "Return once the database answers, or run the command that follows; fail, and say why, if it does not "
        "within the given time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--seconds", type=float, default=60, help="How long to wait (default: 60).")
        parser.add_argument("--migrated", action="store_true", help="Wait until it is migrated, too.")
        # In this process: to load the code again for it would double the time of most commands.
        parser.add_argument("command", nargs=REMAINDER, help="A command with its arguments, to be run then.")

    def handle(self, *args: Any, **options: Any) -> None:
        deadline = time.monotonic() + options["seconds"]
        while reason := _problem() or (database_problem() if options["migrated"] else None):
            if time.monotonic() >= deadline:
                raise CommandError(f"No database after {options['seconds']:g} seconds: {reason}")
            connection.close()  # a server that starts may close the first ones
            time.sleep(_PAUSE)
        if options["command"]:
            execute_from_command_line(["manage.py", *options["command"]])


def _problem() -> str | None:
    try:
        connection.ensure_connection()
    except OperationalError as error:
        return " ".join(str(error).split())
    return None
