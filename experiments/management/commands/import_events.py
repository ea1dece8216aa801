import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.text import capfirst

from experiments.exceptions import ExperimentNotFoundError, InvalidError
from experiments.management.choices import add_choices, chosen_options
from experiments.management.plain import PlainCommand
from experiments.management.progress import read_with_bar, rows_with_bar
from experiments.models import Experiment
from experiments.selectors import find_experiment, today
from experiments.tables.facts import counted_problems, facts_of
from experiments.tables.importing.importer import Target, import_table
from experiments.tables.importing.report import ImportReport
from experiments.tables.issues import RowIssue
from experiments.tables.mapping import remembered_columns
from experiments.tables.reading.opening import open_table
from experiments.tables.reading.query import query_table
from experiments.tables.reading.source import Table

_PROBLEMS_SHOWN = 20


class Command(PlainCommand):
    help = "Load daily totals or single orders from a file (docs/importing.md) or a query, all rows or none."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, nargs="?", help="CSV or another text table, or .xlsx.")
        parser.add_argument("--sql", help="A query, in place of a file; its columns are named as a file's.")
        parser.add_argument(
            "--url",
            default="",
            help="PostgreSQL that answers the query: postgresql://host/database. Give the password by PGPASSWORD or "
            "~/.pgpass, as other users of the machine can read a command line.",
        )
        parser.add_argument("--sheet", default="", help="A sheet of a workbook; without it the first.")
        parser.add_argument(
            "--experiment",
            help="The experiment of all rows, where the file has no such column; else the only one.",
        )
        parser.add_argument("--create", action="store_true", help="Create experiments that are missing.")
        add_choices(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if (options["file"] is None) == (options["sql"] is None):
            raise CommandError("Give a file, or --sql with --url.")
        try:
            with _table(options) as table:
                report = import_table(
                    table,
                    today=today(),
                    now=timezone.now(),
                    options=chosen_options(options),
                    target=_target(options["experiment"]),
                    source="command",
                )
        except OSError as error:
            raise CommandError(f"{options['file']}: {error.strerror}") from error
        except psycopg.Error as error:
            raise CommandError(f"The query: {str(error).strip()}") from error
        except (InvalidError, ExperimentNotFoundError) as error:
            raise CommandError(str(error)) from error
        self._tell(report)

    def _tell(self, report: ImportReport) -> None:
        self._tell_problems(report)
        if not report.has_loaded:
            if report.issues:
                raise CommandError(f"Problems found: {counted_problems(report)}. Nothing was loaded.")
            raise CommandError(f"{capfirst(report.refusals()[0].message)}.")
        rows = "single orders" if report.has_orders else "rows"
        loaded = f"{report.processed_rows:,} of {report.total_rows:,} {rows}"
        experiments = len(report.experiment_ids)
        self.stdout.write(f"Loaded {loaded} into {experiments:,} experiment{'s' * (experiments != 1)}.")
        for fact in facts_of(report):
            self.stdout.write(fact)
        for experiment in Experiment.objects.filter(pk__in=report.experiment_ids).order_by("pk"):
            variants = ", ".join(experiment.variants.values_list("name", flat=True))
            self.stdout.write(f"  {experiment.pk} {experiment.key}: {variants}")

    def _tell_problems(self, report: ImportReport) -> None:
        """Print the first problems; more would bury them, and the counts at the end. What is wrong with an experiment
        is said once, with the number of its rows.
        """
        shown = _by_experiment(report)[:_PROBLEMS_SHOWN]
        for issue, rows in shown:
            or_more = " or more" if report.is_full else ""
            self.stderr.write(f"{issue} ({rows:,} rows{or_more})" if rows > 1 else str(issue))
        if more := report.total_issues - sum(rows for _issue, rows in shown):
            self.stderr.write(f"... and {more:,} more")


def _by_experiment(report: ImportReport) -> list[tuple[RowIssue, int]]:
    """List the problems, each with the number of its rows: of those that an experiment has on every row, the first."""
    rows: Counter[RowIssue] = Counter()
    first: dict[RowIssue, RowIssue] = {}
    for issue in report.issues:
        common = issue._replace(line=0)
        mark = common if common in report.of_experiments else issue
        rows[mark] += 1
        first.setdefault(mark, issue)
    return [(first[mark], number) for mark, number in rows.items()]


def _target(reference: str | None) -> Target:
    if reference is None:
        return Target()
    experiment = find_experiment(reference)
    return Target(experiment, only=True, known=remembered_columns(experiment))


@contextmanager
def _table(options: dict[str, Any]) -> Iterator[Table]:
    """Open the file or the query with a progress bar."""
    if options["sql"] is None:
        path = options["file"]
        yield open_table(lambda: read_with_bar(path, sys.stderr), sheet=options["sheet"])
        return
    if not options["url"]:
        raise CommandError("Give --url, the database that answers the query.")
    with query_table(options["url"], options["sql"]) as table:
        yield rows_with_bar(table, sys.stderr)
