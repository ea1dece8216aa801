"""The parser of rows of counts and values as JSON, for v1 and for the classic API."""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from experiments.api.classic.schemas import EventsSerializer, FlatEventSerializer
from experiments.api.fast_validation import validated
from experiments.api.v1.event_schemas import (
    EventBatchSerializer,
    EventDaySerializer,
    IncrementsBatchSerializer,
    IncrementsDaySerializer,
)
from experiments.exceptions import InvalidRowsError, Issue
from experiments.ingestion.new_names import NewVariants
from experiments.ingestion.record import Mode
from experiments.ingestion.single_values import SingleValues
from experiments.metrics import DailyCounts

ReferencedCounts = tuple[str, DailyCounts]


class Events(NamedTuple):
    """Rows, each beside its experiment's id or key, and how they are to be recorded.

    ``values`` are single values of rows, by their position.
    """

    mode: Mode
    new_variants: NewVariants
    rows: list[ReferencedCounts]
    values: SingleValues


_PLACE = frozenset({"experiment_id", "date"})
_OF_A_DAY = _PLACE | {"variants"}
_row_of = itemgetter(*DailyCounts._fields)
_variant_of = itemgetter(*DailyCounts._fields[1:])


def is_day(data: Any) -> bool:
    """Return True for a body that is one day of one experiment, and no batch.

    One with an experiment or a date but no variants is meant as a day: its refusal names what it lacks.
    """
    return isinstance(data, dict) and "rows" not in data and not data.keys().isdisjoint(_OF_A_DAY)


def _adds(data: Any) -> bool:
    """Return True for a body of increments, whose counts may be left out."""
    return isinstance(data, dict) and data.get("mode") == "add"


def parse_day(data: Any) -> Events:
    """Read one day; raise DRF's ValidationError with fields such as variants[3].clicks."""
    values = validated(IncrementsDaySerializer if _adds(data) else EventDaySerializer, data)
    reference, variants = values["experiment_id"], values["variants"]
    singles = _single_values(variants, data["variants"])
    return Events(
        values["mode"], values["new_variants"], [(reference, row) for row in _rows_of_day(values)], singles
    )


def parse_batch(data: Any) -> Events:
    """Read a batch; raise DRF's ValidationError with fields such as rows[3].clicks."""
    values = validated(IncrementsBatchSerializer if _adds(data) else EventBatchSerializer, data)
    singles = _single_values(values["rows"], data["rows"])
    rows = [(row["experiment_id"], DailyCounts(*_row_of(row))) for row in values["rows"]]
    return Events(values["mode"], values["new_variants"], rows, singles)


def _single_values(rows: Sequence[dict[str, Any]], given: Sequence[dict[str, Any]]) -> SingleValues:
    """Return the single values of rows; where a row gives no conversions, each value is one."""
    singles = {index: row["values"] for index, row in enumerate(rows) if "values" in row}
    for index, values in singles.items():
        if "conversions" not in given[index]:
            rows[index]["conversions"] = len(values)
    return singles


def parse_classic(data: Any) -> tuple[str, list[DailyCounts]]:
    """Return the experiment and its rows of one day; the fields of a single variant may be beside the date."""
    if isinstance(data, dict) and "variants" not in data and "variant_name" in data:
        values = validated(FlatEventSerializer, data)
        return values["experiment_id"], [DailyCounts(*_row_of(values))]
    values = validated(EventsSerializer, data)
    return values["experiment_id"], _rows_of_day(values)


def issues_of_day(error: InvalidRowsError, *, flat: bool = False) -> list[Issue]:
    """Name each field as the client wrote it: experiment and date are beside the variants, not in them."""
    issues = [
        issue if flat or issue.field in _PLACE else issue._replace(field=f"variants[{index}].{issue.field}")
        for index, issue in error.row_issues
    ]
    return list(dict.fromkeys(issues))


def _rows_of_day(values: dict[str, Any]) -> list[DailyCounts]:
    date = values["date"]
    return [DailyCounts(date, *_variant_of(row)) for row in values["variants"]]
