"""A file of any format as a table."""

from django.utils.translation import gettext as _

from experiments.tables.reading.bounded import within
from experiments.tables.reading.bounds import Bounds
from experiments.tables.reading.delimited import text_table
from experiments.tables.reading.source import OpenBytes, Table, unreadable
from experiments.tables.reading.workbook.sheets import is_workbook, workbook_table


def open_table(
    open_bytes: OpenBytes, *, sheet: str = "", bounds: Bounds | None = None, is_known: bool = False
) -> Table:
    """Open a file, a workbook or text, by its bytes; raise InvalidError for what is neither.

    ``open_bytes`` opens it from its beginning each time; ``sheet`` names a workbook's sheet. ``bounds``: reading it
    raises InvalidError where it is larger. A workbook that ``is_known``, as it was opened before, is measured no more.
    """
    if is_workbook(open_bytes):
        table = workbook_table(open_bytes, sheet, bounds, is_known=is_known)
    elif sheet:
        raise unreadable("no_sheet", _("the file is text and has no sheets; leave `sheet` out"))
    else:
        table = text_table(open_bytes)
    return within(table, bounds) if bounds else table
