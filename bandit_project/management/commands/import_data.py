from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from bandit_project.ops.transfer import import_installation
from experiments.exceptions import DomainError


class Command(BaseCommand):
    help = (
        "Read a file of export_data into an empty installation (migrated, and nothing else), all or nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with options["file"].open("rb") as file:
                counts = import_installation(file)
        except OSError as error:
            raise CommandError(f"{options['file']}: {error.strerror}") from error
        except DomainError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{counts.total():,} rows: {', '.join(f'{n:,} {table}' for table, n in counts.items())}."
        )
