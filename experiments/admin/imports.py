"""A CSV through the admin: shown beside what is stored, and written by the service that the API calls too.

The preview runs the import and takes it back: what it accepts, the confirmation writes. All rows or none.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from import_export.fields import Field
from import_export.resources import Resource
from import_export.results import Error, Result, RowResult
from tablib import Dataset

from experiments.exceptions import DomainError, InvalidRowsError
from experiments.ingestion.manual_edits import note_data_change
from experiments.ingestion.record import record_batch
from experiments.models import DailyMetric
from experiments.selectors import find_experiments, today
from experiments.tables.rows import COLUMNS, CsvRow, RowIssue, read_rows

# A page shows so many; more go through manage.py import_events or the API.
MOST_ROWS = 5000

# The counts that the database holds, by the line of the file that gives new ones.
Stored = Mapping[int, tuple[int, int, int]]


class _RefusalError(Error):  # type: ignore[misc]  # the library is untyped
    """The page shows an error's traceback too; a refusal has none."""

    traceback = ""


class DailyMetricResource(Resource):  # type: ignore[misc]  # the library is untyped
    """The columns of the API's CSV."""

    experiment_id, date, variant_name = Field("experiment_id"), Field("date"), Field("variant_name")
    impressions, clicks, conversions = Field("impressions"), Field("clicks"), Field("conversions")

    @classmethod
    def get_display_name(cls) -> str:
        return _("Daily metrics")

    def import_data(
        self, dataset: Dataset, dry_run: bool = False, file_name: str | None = None, **kwargs: Any
    ) -> Result:
        result = Result()
        result.diff_headers = list(COLUMNS)
        try:
            found = list(read_rows(dataset.export("csv").splitlines(keepends=True)))
            self._import(found, result, dry_run=dry_run, file_name=file_name or "")
        except DomainError as error:
            result.append_base_error(_RefusalError(error))
        return result

    def _import(
        self, found: Sequence[CsvRow | list[RowIssue]], result: Result, *, dry_run: bool, file_name: str
    ) -> None:
        if len(found) > MOST_ROWS:
            raise DomainError(
                _("More than %(most)d rows; use manage.py import_events.") % {"most": MOST_ROWS}
            )
        rows = [row for row in found if isinstance(row, CsvRow)]
        issues = [issue for row in found if not isinstance(row, CsvRow) for issue in row]
        stored = _stored(rows)
        issues += _record(rows, write=not dry_run and not issues, file_name=file_name)
        result.total_rows = len(found)
        _report_issues(issues, rows, result)
        for row in rows:
            result.append_row_result(_row_result(row, stored))
        for row_result in result.rows:
            result.increment_row_result_total(row_result)


def _record(rows: Sequence[CsvRow], *, write: bool, file_name: str) -> list[RowIssue]:
    """What is wrong; where nothing is, and ``write`` is on, the rows are written."""
    if not rows:
        return []
    try:
        with transaction.atomic():
            batch = [(row.experiment, row.counts) for row in rows]
            record_batch(rows=batch, today=today(), now=timezone.now(), source="admin")
            note_data_change(*_note(rows, file_name))
            transaction.set_rollback(not write)
    except InvalidRowsError as error:
        return [RowIssue(rows[index].line, issue.field, issue.message) for index, issue in error.row_issues]
    return []


def _note(rows: Sequence[CsvRow], file_name: str) -> tuple[Collection[int], str]:
    experiments = find_experiments({row.experiment for row in rows})
    days = sorted({row.counts.date for row in rows})
    words = f"CSV imported in the admin ({file_name[:100]}): {len(rows)} rows, {days[0]} to {days[-1]}"
    return {experiment.pk for experiment in experiments.values()}, words


def _stored(rows: Sequence[CsvRow]) -> Stored:
    """What the database holds for the days of these rows, under the names that the rows use."""
    references = find_experiments({row.experiment for row in rows})
    metrics = DailyMetric.objects.filter(
        variant__experiment__in={experiment.pk for experiment in references.values()},
        date__in={row.counts.date for row in rows},
    ).select_related("variant")
    by_id = {
        (metric.variant.experiment_id, name, metric.date): (
            metric.impressions, metric.clicks, metric.conversions,
        )
        for metric in metrics
        for name in (metric.variant.key, metric.variant.name)
    }  # fmt: skip
    return {
        row.line: by_id[place]
        for row in rows
        if row.experiment in references
        and (place := (references[row.experiment].pk, row.counts.variant_name, row.counts.date)) in by_id
    }


def _report_issues(issues: Sequence[RowIssue], rows: Sequence[CsvRow], result: Result) -> None:
    by_line = {row.line: dict(zip(COLUMNS, _cells(row), strict=True)) for row in rows}
    for issue in sorted(issues):
        column = issue.column if issue.column in COLUMNS else "__all__"
        error = ValidationError({column: [issue.message]})
        result.append_invalid_row(issue.line, by_line.get(issue.line, {}), error)


def _row_result(row: CsvRow, stored: Stored) -> RowResult:
    result = RowResult()
    before = stored.get(row.line)
    after = (row.counts.impressions, row.counts.clicks, row.counts.conversions)
    if before is None:
        result.import_type = RowResult.IMPORT_TYPE_NEW
    else:
        same = before == after
        result.import_type = RowResult.IMPORT_TYPE_SKIP if same else RowResult.IMPORT_TYPE_UPDATE
    shown = [_difference(old, new) for old, new in zip(before or after, after, strict=True)]
    result.diff = [*_cells(row)[:3], *shown]
    return result


def _cells(row: CsvRow) -> tuple[Any, ...]:
    counts = row.counts
    return (
        row.experiment, counts.date, counts.variant_name, counts.impressions, counts.clicks, counts.conversions,
    )  # fmt: skip


def _difference(before: int, after: int) -> str:
    if before == after:
        return str(after)
    return format_html("<del>{}</del> <ins>{}</ins>", before, after)
