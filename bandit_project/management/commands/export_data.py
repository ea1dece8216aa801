import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from bandit_project.transfer import export_installation


class Command(BaseCommand):
    help = "Write the whole installation into one file, which import_data reads into any database."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file", type=Path, help="A new file, such as bandit-2026-01-31.jsonl.gz; - for standard output."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if str(options["file"]) == "-":
            counts = export_installation(sys.stdout.buffer, now=timezone.now())
        else:
            try:
                with options["file"].open("xb") as file:
                    counts = export_installation(file, now=timezone.now())
            except OSError as error:
                raise CommandError(f"{options['file']}: {error.strerror}") from error
        self.stderr.write(
            f"{counts.total():,} rows: {', '.join(f'{n:,} {table}' for table, n in counts.items())}."
        )
