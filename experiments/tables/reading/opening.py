"""A file of any format as a table."""

from django.utils.translation import gettext as _

from experiments.tables.reading.delimited import text_table
from experiments.tables.reading.source import OpenBytes, Table, unreadable
from experiments.tables.reading.workbook import is_workbook, workbook_table


def open_table(open_bytes: OpenBytes, *, sheet: str = "") -> Table:
    """Open a file, a workbook or text, by its bytes; raise InvalidError for what is neither.

    ``open_bytes`` opens it from its beginning each time; ``sheet`` names a workbook's sheet.
    """
    if is_workbook(open_bytes):
        return workbook_table(open_bytes, sheet)
    if sheet:
        raise unreadable("no_sheet", _("the file is text and has no sheets; leave `sheet` out"))
    return text_table(open_bytes)
