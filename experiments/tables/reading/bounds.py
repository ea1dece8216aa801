"""Bounds of a file that comes in a request, so that its work is bounded, too; commands and workers read any file."""

from dataclasses import dataclass

from django.utils.translation import gettext as _

from experiments.exceptions import InvalidError, Issue
from experiments.text import Text, format_number

# An experiment is looked up and written by itself, which takes as long as so many rows.
_ROWS_OF_AN_EXPERIMENT = 100
# A header, and titles above it.
_LINES_ABOVE = 50
# All that a file may say of a day are eight.
_CELLS_OF_A_ROW = 25
# A cell of a workbook takes twice the time.
_WORKBOOK_CELLS_OF_A_ROW = 12
# As spreadsheets write them, on average of a whole file.
_BYTES_OF_A_CELL = 50
# Styles and themes.
_BYTES_BESIDE_CELLS = 1024 * 1024
# Each of the first lines may be the header.
_WIDEST_LINE = 1000


@dataclass(frozen=True)
class Bounds:
    """The most ``rows`` of a file; ``advice`` says what to do with one that has more.

    Lines without any text are no rows, and count by their cells alone.
    """

    rows: int
    advice: Text

    @property
    def cells(self) -> int:
        """The most cells of a file."""
        return (self.rows + _LINES_ABOVE) * _CELLS_OF_A_ROW

    @property
    def workbook_cells(self) -> int:
        """The most cells of a workbook's sheet."""
        return (self.rows + _LINES_ABOVE) * _WORKBOOK_CELLS_OF_A_ROW

    @property
    def unpacked_bytes(self) -> int:
        """The most bytes of a workbook's parts."""
        return self.workbook_cells * _BYTES_OF_A_CELL + _BYTES_BESIDE_CELLS

    def refuse_many_experiments(self, rows: int, experiments: int) -> None:
        """Raise InvalidError where rows of so many experiments are too much, though they are few."""
        if rows + (experiments - 1) * _ROWS_OF_AN_EXPERIMENT > self.rows:
            said = _(
                "the file has rows of too many experiments: each but the first counts as %(each)s rows more, and an "
                "upload has at most %(most)s"
            )
            numbers = {"each": _ROWS_OF_AN_EXPERIMENT, "most": format_number(self.rows, 0)}
            raise self._refusal("too_many_experiments", said % numbers)

    def refuse_wide(self, line: int, cells: int) -> None:
        """Raise InvalidError for one of the first lines that is too wide for a header."""
        if cells > _WIDEST_LINE:
            said = _("line %(line)s has %(cells)s cells, the most are %(most)s: remove columns not needed")
            numbers = {"cells": format_number(cells, 0), "most": format_number(_WIDEST_LINE, 0)}
            raise InvalidError([Issue("file", "too_many_columns", said % {"line": line, **numbers})])

    def too_many_rows(self) -> InvalidError:
        said = _("the file has more than %(most)s rows, the most of an upload")
        return self._refusal("too_many_rows", said % {"most": format_number(self.rows, 0)})

    def too_many_cells(self) -> InvalidError:
        said = _(
            "the file has more than %(most)s cells, the most of an upload: remove columns not needed, and empty "
            "lines"
        )
        return self._refusal("too_many_cells", said % {"most": format_number(self.cells, 0)})

    def _refusal(self, code: str, said: str) -> InvalidError:
        return InvalidError([Issue("file", code, f"{said}; {self.advice}")])
