import sys
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from bandit_project.ops.transfer import export_installation


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
            counts = _write(options["file"])
        self.stderr.write(
            f"{counts.total():,} rows: {', '.join(f'{n:,} {table}' for table, n in counts.items())}."
        )


def _write(path: Path) -> Counter[str]:
    """Write the whole file or none: half a file could be mistaken for a backup."""
    try:
        with path.open("xb") as file:
            try:
                return export_installation(file, now=timezone.now())
            except BaseException:
                path.unlink()
                raise
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
