"""Import of a table of daily totals or of single orders, in one transaction for the whole file.

The rows are gone through twice. First every one is checked, with no lock held; then the good ones are written, with the
experiments locked in the order of their ids. A long file is read again for that; the rows of a short one are kept. Bad
rows are reported by line, column and reason; either nothing is written then (reject) or the good rows are (skip). A dry
run does all of it and rolls back.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from django.db import transaction
from django.utils.translation import gettext as _

from experiments.audit.intake import IntakeLine, line_of_caller, note_intake
from experiments.collecting import collecting_seldom
from experiments.events import log_event_on_commit
from experiments.exceptions import MAX_ISSUES
from experiments.ingestion.record import Source
from experiments.ingestion.validation import years_of_dates
from experiments.metrics import Reward
from experiments.models import Experiment
from experiments.services import lock_experiments
from experiments.tables.importing.checks import Check, Rows
from experiments.tables.importing.kept_rows import KeptRows
from experiments.tables.importing.orders import ORDERS, TOTALS, OrderReader
from experiments.tables.importing.references import References
from experiments.tables.importing.report import ImportOptions, ImportReport
from experiments.tables.importing.rows import DAILY, ORDER_VALUE, RowReader
from experiments.tables.importing.writer import Observer, Writer, added_up
from experiments.tables.reading.header import Columns, Header, HeaderNotFoundError, find_header
from experiments.tables.reading.source import Table
from experiments.tables.ways_in import ADVICE, Advice


@dataclass(frozen=True)
class Target:
    """The experiments that a file is loaded into: any, or one.

    Rows belong to ``experiment`` where the file has no such column; ``only`` leaves out the rows of others. ``known``
    says what the experiment's headers mean (experiments.tables.mapping).
    """

    experiment: Experiment | None = None
    only: bool = False
    known: Mapping[str, str] | None = None

    def header_of(self, table: Table, advice: Advice = ADVICE["page"]) -> Header:
        """Find the header, of a day's totals or of single orders; raise InvalidError without one.

        Values without their squares, as exports have them, are left out where no goal needs them.
        """
        try:
            header = self._find(table, DAILY, advice)
        except HeaderNotFoundError as error:
            return self._orders_header(table, advice, error)
        is_bare = "value_sum" in header.places and "value_squares" not in header.places
        return header.without("value_sum") if is_bare and not self._needs_values() else header

    def _needs_values(self) -> bool:
        if self.experiment:
            return self.experiment.goal.is_value
        goals = [goal for goal in Reward if goal.is_value]
        return Experiment.objects.filter(reward__in=goals).exists()

    def _orders_header(self, table: Table, advice: Advice, daily: HeaderNotFoundError) -> Header:
        """Find the header of single orders; else raise the error of the kind of file that it is more like."""
        try:
            header = self._find(table, ORDERS, advice)
        except HeaderNotFoundError as error:
            raise _likelier(daily, error) from error
        if any(name in header.places for name in TOTALS):
            raise daily
        return header

    def _find(self, table: Table, columns: Columns, advice: Advice) -> Header:
        if self.experiment:
            known = {h: c for h, c in (self.known or {}).items() if not c or c in columns.names}
            return find_header(table, columns.without("experiment_id"), known)
        try:
            return find_header(table, columns)
        except HeaderNotFoundError as error:
            if error.guess.missing == ("experiment_id",):
                said = f"{error.issues[0].message}; {advice.no_experiment}"
                raise HeaderNotFoundError(said, error.guess) from error
            raise


def _likelier(daily: HeaderNotFoundError, orders: HeaderNotFoundError) -> HeaderNotFoundError:
    """Choose the error to show; where a column may be orders' values, say how to name it."""
    found = orders.guess.places
    if (ORDER_VALUE in found or ORDER_VALUE in orders.guess.twice) and not any(
        name in found for name in TOTALS
    ):
        return orders
    if "value_sum" in daily.guess.places and "impressions" in daily.guess.missing:
        advice = _("or, where each line is a single order, call the column of its value: value")
        return HeaderNotFoundError(f"{daily.issues[0].message}; {advice}", daily.guess)
    return daily


def _reader(header: Header, options: ImportOptions, references: References, today: dt.date) -> RowReader:
    years = years_of_dates(today)
    if ORDER_VALUE in header.places:
        return OrderReader(
            header, options.blank, references, options.advice, date_order=options.date_order, years=years
        )
    return RowReader(header, options.blank, options.advice, options.date_order, years)


@collecting_seldom()
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
    check, reader = _prepare(table, options, target, today, kept_issues)
    rows: Rows = partial(check.rows_of, reader)
    if table.bounds:
        rows = KeptRows(rows, partial(reader.as_stored_now, with_totals=observer is not None))
    check.read(rows)
    report = check.report
    report.dates = reader.dates.read()
    if options.on_error == "reject" and report.total_issues:
        return report
    # what is taken back was not received either
    line = None if dry_run or source == "dashboard" else line_of_caller(source, today)
    _write(check, rows, line, now=now, dry_run=dry_run, observer=observer)
    if not dry_run:
        _log(report, source)
    return report


def _prepare(
    table: Table, options: ImportOptions, target: Target, today: dt.date, kept_issues: int
) -> tuple[Check, RowReader]:
    """Find the table's header, and build the check and the reader of its rows. Raises InvalidError."""
    header = target.header_of(table, options.advice)
    references = References(
        default=target.experiment,
        create=options.create,
        advice=options.advice.unknown_experiment,
        bounds=table.bounds,
    )
    report = ImportReport(
        kept_issues,
        ignored_columns=header.ignored,
        encoding=table.encoding,
        has_orders=ORDER_VALUE in header.places,
    )
    check = Check(
        today=today,
        options=options,
        report=report,
        references=references,
        names=header.names,
        header_line=header.line,
        only=target.experiment if target.only else None,
        bounds=table.bounds,
    )
    return check, _reader(header, options, references, today)


def _write(
    check: Check,
    rows: Rows,
    line: IntakeLine | None,
    *,
    now: dt.datetime,
    dry_run: bool,
    observer: Observer | None,
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
            are_checked=isinstance(rows, KeptRows) and not (check.repeated or report.has_orders),
        )
        # a file without a good row may still be long
        good = check.good_rows(rows()) if check.named else iter(())
        writer.write(added_up(good, check.repeated_place, check.repeated))
        if line is not None:
            note_intake(report.recorded_rows, line, now)
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
        values_capped=report.values_capped,
    )
