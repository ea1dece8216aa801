"""Facts of an import that a person at a terminal should know beside the number of its rows."""

from collections.abc import Iterator

from experiments.tables.importing.report import ImportReport
from experiments.tables.reading.dates import DatesRead

_ORDERS = {"day_first": "day first", "month_first": "month first"}


def facts_of(report: ImportReport) -> Iterator[str]:
    """Say, a line for each, what was left out, made, and taken in one way of several."""
    for said, what in (
        ("Rows refused and left out: {}", _counted(report.refused_rows)),
        ("Problems found: {}", counted_problems(report) if report.issues else ""),
        ("Rows with a blank cell left out: {}", _counted(report.blank_skipped)),
        ("Rows of other experiments left out: {}", _counted(report.left_out)),
        ("Orders above the value cap, counted as the cap: {}", _counted(report.values_capped)),
        ("Columns not needed: {}", ", ".join(report.ignored_columns)),
        ("New variants: {}", ", ".join(report.new_variants)),
        ("Dates were read with the {}", _order_of_dates(report.dates)),
        ("Read as {}: it is not UTF-8", report.encoding),
    ):
        if what:
            yield said.format(what)


def counted_problems(report: ImportReport) -> str:
    return f"{report.total_issues:,}{' or more' if report.is_full else ''}"


def _order_of_dates(dates: DatesRead) -> str:
    shown_by = f", as {dates.witness} can only be so" if dates.witness else ""
    return f"{_ORDERS[dates.order]}{shown_by}" if dates.order else ""


def _counted(number: int) -> str:
    return f"{number:,}" if number else ""
