"""Uploaded files between preview and confirmation.

The file waits in the database, which all workers share, under a token that only its owner's page knows: the rows
recorded are the rows previewed, whatever a browser sends.
"""

import datetime as dt
import io
import secrets
from collections.abc import Collection, Mapping, Sequence
from itertools import islice, takewhile, zip_longest
from typing import NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from experiments.audit import coded, record_histories
from experiments.collecting import collecting_seldom
from experiments.exceptions import InvalidError, Issue, NotFoundError
from experiments.models import CsvUpload, Experiment
from experiments.tables.importing.importer import Target, import_table
from experiments.tables.importing.orders import ORDERS
from experiments.tables.importing.report import ImportOptions, ImportReport
from experiments.tables.issues import RowIssue
from experiments.tables.mapping import by_plain_form, remember_columns, remembered_columns
from experiments.tables.preview import KEPT_LINES, CsvPreview, preview_table
from experiments.tables.reading.bounds import Bounds
from experiments.tables.reading.header import Header, HeaderNotFoundError
from experiments.tables.reading.opening import open_table
from experiments.tables.reading.source import Table
from experiments.tables.reading.workbook.sheets import sheet_names
from experiments.tables.ways_in import ADVICE, WayIn

# Well within MAX_BODY_BYTES, and about 200,000 rows: as many as a worker records. A page takes fewer (MAX_UPLOAD_ROWS).
MAX_UPLOAD_BYTES = 8 * 1024 * 1024
KEPT_FOR = dt.timedelta(hours=1)
# Each column that is not known is a question on the page.
_MOST_NAMED_COLUMNS = 200
# Lines shown where the columns are named.
_SHOWN_LINES = 5


def most_bytes() -> int:
    """Return how large a file of a page may be: one beyond MAX_BODY_BYTES does not arrive."""
    return min(MAX_UPLOAD_BYTES, settings.MAX_BODY_BYTES)


def too_large() -> str:
    """Say how large a file may be."""
    said = _("At most %(most)s. Split the file, or ask an administrator to load it.")
    return said % {"most": shown_size(most_bytes())}


def shown_size(size: int) -> str:
    """Write a size in MB, or in KB below one, rounded down."""
    return f"{size // 1024**2} MB" if size >= 1024**2 else f"{size // 1024} KB"


def upload_bounds(way_in: WayIn) -> Bounds:
    """Return the bounds of a file that comes in a request, by this way."""
    return Bounds(settings.MAX_UPLOAD_ROWS, ADVICE[way_in].too_long)


@collecting_seldom()
def keep_upload(
    *,
    experiment: Experiment,
    owner: str,
    name: str,
    content: bytes,
    now: dt.datetime,
    bounds: Bounds | None = None,
) -> CsvUpload:
    """Keep a file for its preview; raise InvalidError if it cannot be read, holds no row or is beyond the ``bounds``.

    A file is kept, too, whose columns a person can name.
    """
    try:
        target = Target(experiment, known=remembered_columns(experiment))
        header = target.header_of(open_table(lambda: io.BytesIO(content), bounds=bounds))
        _refuse_many_columns(header)
    except HeaderNotFoundError as error:
        _refuse_many_columns(error.guess)
        if len(error.guess.cells) < len(ORDERS.without("experiment_id").needed):
            raise
    else:
        # read to the end: what cannot be read may be anywhere
        if not sum(1 for _line, cells in header.lines() if any(cells)):
            raise InvalidError([Issue("file", "empty", _("the file holds no row under its header"))])
    return CsvUpload.objects.create(
        token=secrets.token_urlsafe(24),
        owner=owner,
        experiment=experiment,
        name=name[: CsvUpload.NAME_LENGTH],
        content=content,
        created_at=now,
    )


def _refuse_many_columns(header: Header) -> None:
    if (named := sum(map(bool, header.cells))) > _MOST_NAMED_COLUMNS:
        message = _("line %(line)s names %(columns)s columns, the most are %(most)s; remove those not needed")
        values = {"line": header.line, "columns": named, "most": _MOST_NAMED_COLUMNS}
        raise InvalidError([Issue("file", "too_many_columns", message % values)])


def name_columns(upload: CsvUpload, columns: Mapping[str, str]) -> None:
    """Keep what each header of an upload means; recording the file makes its experiment remember it."""
    upload.columns |= by_plain_form(columns)
    upload.save(update_fields=["columns"])


def _known_columns(upload: CsvUpload) -> dict[str, str]:
    """Return what the headers of an upload mean: what was answered for it goes before what is remembered."""
    answers: dict[str, str] = upload.columns
    return remembered_columns(upload.experiment) | answers


def _target_of(upload: CsvUpload, *, only: bool = False) -> Target:
    """Build the target of a file on an experiment's own page, which knows what its headers mean."""
    return Target(upload.experiment, only=only, known=_known_columns(upload))


def table_of(upload: CsvUpload, sheet: str = "", bounds: Bounds | None = None) -> Table:
    content = bytes(upload.content)
    return open_table(lambda: io.BytesIO(content), sheet=sheet, bounds=bounds, is_known=True)


def sheets_of(upload: CsvUpload) -> tuple[str, ...]:
    content = bytes(upload.content)
    return sheet_names(lambda: io.BytesIO(content))


def _page_table(upload: CsvUpload, sheet: str = "") -> Table:
    """Open an upload within the bounds of a page's request."""
    return table_of(upload, sheet, upload_bounds("page"))


class FirstLines(NamedTuple):
    """A header, complete or only likely, and some lines below it."""

    header: Header
    lines: list[list[str]]
    problem: str


def first_lines(upload: CsvUpload, sheet: str = "") -> FirstLines:
    """Show the columns of an upload; ``problem`` says why they are not known, where they are not."""
    problem = ""
    try:
        header = _target_of(upload).header_of(_page_table(upload, sheet))
    except HeaderNotFoundError as error:
        header, problem = error.guess, error.issues[0].message
    _refuse_many_columns(header)
    filled = ([*cells, *[""] * len(header.cells)] for _line, cells in header.lines() if any(cells))
    return FirstLines(header, [cells[: len(header.cells)] for cells in islice(filled, _SHOWN_LINES)], problem)


class FileLine(NamedTuple):
    """A line of a file: its cells, each with whether a problem is about it."""

    line: int
    cells: list[tuple[str, bool]]


class RefusedLines(NamedTuple):
    """The lines that problems are about, under the names of their columns."""

    names: tuple[str, ...]
    lines: list[FileLine]

    @property
    def numbers(self) -> set[int]:
        """Numbers of the lines that are shown; a problem of the file as a whole is on that of its header."""
        return {line.line for line in self.lines}


def refused_lines(upload: CsvUpload, issues: Sequence[RowIssue], sheet: str = "") -> RefusedLines:
    """Read the lines of an upload that are refused, to show each beside its problem; the file is read to the last."""
    if not issues:
        return RefusedLines((), [])
    header = _target_of(upload).header_of(_page_table(upload, sheet))
    columns: dict[int, set[str]] = {}
    for issue in issues:
        columns.setdefault(issue.line, set()).add(issue.column)
    lines = takewhile(lambda line: line[0] <= max(columns, default=0), header.lines())
    shown = [
        FileLine(number, _marked(cells, header.cells, columns[number]))
        for number, cells in lines
        if number in columns
    ]
    return RefusedLines(header.cells, shown)


def _marked(cells: Sequence[str], names: Sequence[str], bad: Collection[str]) -> list[tuple[str, bool]]:
    """Give each cell with whether its column is one of the bad; cells beyond the header have no column."""
    return [(cell, name in bad) for cell, name in zip_longest(cells, names, fillvalue="")]


def find_upload(
    *,
    experiment: Experiment,
    owner: str,
    token: str,
    now: dt.datetime,
    uploads: "QuerySet[CsvUpload] | None" = None,
) -> CsvUpload:
    """Return the owner's own file for this experiment; raise NotFoundError once it is recorded or too old."""
    chosen = CsvUpload.objects.all() if uploads is None else uploads
    found = chosen.filter(
        experiment=experiment, owner=owner, token=token, created_at__gt=now - KEPT_FOR
    ).first()
    if found is None:
        raise NotFoundError(
            _("This upload has been recorded already, or has waited for too long. Upload it again.")
        )
    return found


def preview_upload(
    upload: CsvUpload, *, options: ImportOptions, sheet: str, today: dt.date, now: dt.datetime
) -> CsvPreview:
    """Preview the recording of an upload; raise HeaderNotFoundError where its columns are not known."""
    return preview_table(
        _page_table(upload, sheet),
        experiment=upload.experiment,
        known=_known_columns(upload),
        options=options,
        today=today,
        now=now,
    )


def record_upload(
    *,
    experiment: Experiment,
    owner: str,
    token: str,
    options: ImportOptions,
    with_others: bool,
    today: dt.date,
    now: dt.datetime,
    sheet: str = "",
    bounds: Bounds | None = None,
) -> CsvPreview:
    """Record the file once and return its effects. ``with_others`` takes rows of other experiments too.

    Where the options reject a file for one bad row, nothing is written then, and the file is kept.
    """
    done = CsvPreview.of(experiment)
    with transaction.atomic():
        waiting = CsvUpload.objects.select_for_update()
        upload = find_upload(experiment=experiment, owner=owner, token=token, now=now, uploads=waiting)
        done.report = report = import_table(
            table_of(upload, sheet, bounds),
            today=today,
            now=now,
            options=options,
            target=_target_of(upload, only=not with_others),
            kept_issues=KEPT_LINES,
            observer=done.observe,
            source="dashboard",
        )
        if report.processed_rows:
            remember_columns(experiment, upload.columns)
            upload.delete()
            changed = Experiment.objects.filter(pk__in=report.experiment_ids)
            record_histories(
                {one: _for_history(upload.name, report, report.recorded_rows[one.pk]) for one in changed}
            )
    return done


def _for_history(name: str, report: ImportReport, rows: int) -> str:
    unit = {"orders": rows} if report.has_orders else {"rows": rows}
    capped = {"capped": report.values_capped} if report.values_capped else {}
    return coded("data.uploaded", file=name, **unit, **capped)


def prune_uploads(*, now: dt.datetime) -> int:
    """Delete uploads that are too old to be recorded; return their number."""
    deleted, _by_model = CsvUpload.objects.filter(created_at__lte=now - KEPT_FOR).delete()
    return deleted
