"""Import of a table of daily totals, in one transaction for the whole file.

The file is read twice. First every row is checked, with no lock held; then the good rows are written, with the
experiments locked in the order of their ids. Bad rows are reported by line, column and reason; either nothing is
written then (reject) or the good rows are (skip). A dry run does all of it and rolls back.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from django.db import transaction
from django.utils.translation import gettext as _

from experiments.events import log_event_on_commit
from experiments.exceptions import MAX_ISSUES
from experiments.ingestion.record import Source
from experiments.intake import note_intake
from experiments.metrics import Reward
from experiments.models import Experiment
from experiments.services import lock_experiments
from experiments.tables.checks import Check
from experiments.tables.reading.header import Header, HeaderNotFoundError, find_header
from experiments.tables.reading.source import Table
from experiments.tables.references import References
from experiments.tables.report import ImportOptions, ImportReport
from experiments.tables.rows import DAILY, RowReader
from experiments.tables.writer import Observer, Writer, added_up


@dataclass(frozen=True)
class Target:
    """The experiments that a file is loaded into: any, or one.

    Rows belong to ``experiment`` where the file has no such column; ``only`` leaves out the rows of others. ``known``
    says what the experiment's headers mean (experiments.tables.mapping).
    """

    experiment: Experiment | None = None
    only: bool = False
    known: Mapping[str, str] | None = None

    def header_of(self, table: Table) -> Header:
        """Find the header, without values that no goal needs, as exports have; raise InvalidError without one."""
        header = self._find_header(table)
        is_bare = "value_sum" in header.places and "value_squares" not in header.places
        return header.without("value_sum") if is_bare and not self._needs_values() else header

    def _needs_values(self) -> bool:
        if self.experiment:
            return self.experiment.goal.is_value
        goals = [goal for goal in Reward if goal.is_value]
        return Experiment.objects.filter(reward__in=goals).exists()

    def _find_header(self, table: Table) -> Header:
        if self.experiment:
            return find_header(table, DAILY.without("experiment_id"), self.known)
        try:
            return find_header(table, DAILY)
        except HeaderNotFoundError as error:
            if error.guess.missing == ("experiment_id",):
                raise HeaderNotFoundError(
                    f"{error.issues[0].message}; {_elsewhere()}", error.guess
                ) from error
            raise


def _elsewhere() -> str:
    return _("or load it on the experiment's own page, or by import_events with --experiment")


def import_table(
    table: Table,
    *,
    today: dt.date,
    now: dt.datetime,
    options: ImportOptions | None = None,
    target: Target | None = None,
    kept_issues: int = MAX_ISSUES,
    dry_run: bool = False,
    observer: Observer | None = None,
    source: Source = "csv",
) -> ImportReport:
    """Record the rows of a table.

    ``observer`` gets each group of recorded rows; ``dry_run`` rolls all back. Raises InvalidError where the file as a
    whole cannot be read: no header, columns missing, no text.
    """
    options, target = options or ImportOptions(), target or Target()
    header = target.header_of(table)
    report = ImportReport(kept_issues, ignored_columns=header.ignored, encoding=table.encoding)
    reader = RowReader(header, options.blank)
    check = Check(
        today=today,
        options=options,
        report=report,
        references=References(default=target.experiment, create=options.create),
        names=header.names,
        only=target.experiment if target.only else None,
    )
    check.read(partial(check.rows_of, reader))
    if options.on_error == "reject" and report.total_issues:
        return report
    _write(check, reader, now=now, dry_run=dry_run, observer=observer)
    if not dry_run:
        if source != "dashboard":
            note_intake(report.recorded_rows, source=source, today=today, now=now)
        _log(report, source)
    return report


def _write(
    check: Check, reader: RowReader, *, now: dt.datetime, dry_run: bool, observer: Observer | None
) -> None:
    """Write the good rows, and roll back where one of them is refused and that rejects the file."""
    report, options = check.report, check.options
    with transaction.atomic():
        experiments = {name: check.references.find_or_create(name, now) for name in check.named}
        lock_experiments([experiment.pk for experiment in experiments.values()])
        writer = Writer(
            today=check.today,
            now=now,
            experiments=experiments,
            report=report,
            names=check.names,
            new_variants=options.new_variants,
            observer=observer,
        )
        # a file without a good row may still be long
        good = check.good_rows(check.rows_of(reader)) if check.named else iter(())
        writer.write(added_up(good, check.repeated_place))
        rejected = options.on_error == "reject" and report.total_issues > 0
        if rejected or dry_run:
            transaction.set_rollback(True)
        if rejected:
            report.forget_written()


def _log(report: ImportReport, source: Source) -> None:
    log_event_on_commit(
        "events.recorded",
        source=source,
        mode="set",
        rows=report.processed_rows,
        experiments=len(report.experiment_ids),
        refused=report.total_issues,
    )
