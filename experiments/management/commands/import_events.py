import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from tqdm import tqdm

from experiments.exceptions import InvalidError
from experiments.models import Experiment
from experiments.selectors import today
from experiments.tables.importer import import_csv


class Command(BaseCommand):
    help = "Load a CSV of daily totals, all rows or none."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--create", action="store_true", help="Create experiments that are missing.")
        parser.add_argument(
            "--skip-bad-rows", action="store_true", help="Load the good rows and report the others."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            report = import_csv(
                lambda: _lines_with_progress(options["file"]),
                today=today(),
                now=timezone.now(),
                create=options["create"],
                on_error="skip" if options["skip_bad_rows"] else "reject",
                source="command",
            )
        except OSError as error:
            raise CommandError(f"{options['file']}: {error.strerror}") from error
        except InvalidError as error:
            raise CommandError(str(error)) from error
        for issue in report.issues:
            self.stderr.write(str(issue))
        if report.total_issues and not report.processed_rows:
            raise CommandError(f"Problems found: {report.total_issues}. Nothing was loaded.")
        self.stdout.write(
            f"Loaded {report.processed_rows} of {report.total_rows} rows into {len(report.experiment_ids)} experiments."
        )
        for experiment in Experiment.objects.filter(pk__in=report.experiment_ids).order_by("pk"):
            variants = ", ".join(experiment.variants.values_list("name", flat=True))
            self.stdout.write(f"  {experiment.pk} {experiment.key}: {variants}")


def _lines_with_progress(path: Path) -> Iterator[str]:
    """Show a bar for each of the two readings; it counts characters, which is near enough to bytes."""
    with (
        path.open(encoding="utf-8-sig", newline="") as lines,
        tqdm(
            total=path.stat().st_size, unit="B", unit_scale=True, file=sys.stderr, disable=None, leave=False
        ) as bar,
    ):
        for line in lines:
            bar.update(len(line))
            yield line
