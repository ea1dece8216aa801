import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from bandit_project.ops.rollback import plan_rollback, read_plan, roll_back
from experiments.exceptions import DomainError


class Command(BaseCommand):
    help = (
        "Take back the migrations that the database got since the file was written by showmigrations --plan. "
        "Data in the tables and columns that they added is lost."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="What showmigrations --plan printed; - reads it here.")
        parser.add_argument("--plan", action="store_true", help="Say what would be taken back, and end.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            rollback = plan_rollback(read_plan(_lines(options["file"])))
        except DomainError as error:
            raise CommandError(str(error)) from error
        for app, name in rollback.taken_back:
            self.stdout.write(f"{app}.{name}")
        if not rollback.taken_back:
            self.stdout.write("Nothing to take back: the database has no newer migration.")
        elif not options["plan"]:
            sys.stdout.flush()
            roll_back(rollback)


def _lines(file: str) -> list[str]:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise CommandError(f"{file} cannot be read: {error}") from error
    return text.splitlines()
