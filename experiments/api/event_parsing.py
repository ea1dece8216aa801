"""Events as JSON, parsed once. What is right in every way takes a short way; all else the serializer's.

The short way accepts only what the serializer accepts unchanged, and a batch of ten thousand rows is read in a
fraction of the time. What is wrong, the serializer says, in the same words for every caller.
"""

import datetime as dt
import re
from typing import Any

from experiments.api.v1.schemas import MAX_BATCH_ROWS, EventBatchSerializer, EventDaySerializer
from experiments.exceptions import InvalidRowsError, Issue
from experiments.ingestion.record import Mode
from experiments.metrics import HIGHEST_COUNT, DailyCounts
from experiments.text import is_name

ReferencedCounts = tuple[str, DailyCounts]

_REQUIRED = frozenset({"variant_name", "impressions", "clicks"})
_OPTIONAL = frozenset({"conversions"})
_PLACE = frozenset({"experiment_id", "date"})
_KEY = re.compile(r"[a-z0-9_-]+")
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def is_day(data: Any) -> bool:
    """Whether a body is one day of one experiment, and no batch."""
    return isinstance(data, dict) and "variants" in data and "rows" not in data


def parse_day(data: Any) -> tuple[Mode, list[ReferencedCounts]]:
    """Mode and rows of one day; raises DRF's ValidationError with fields such as variants[3].clicks."""
    body = EventDaySerializer(data=data)
    body.is_valid(raise_exception=True)
    values = body.validated_data
    rows = [DailyCounts(date=values["date"], **counts) for counts in values["variants"]]
    return values["mode"], [(values["experiment_id"], row) for row in rows]


def issues_of_day(error: InvalidRowsError, *, flat: bool = False) -> list[Issue]:
    """Each field as the client wrote it: experiment and date stand beside the variants, not in them."""
    issues = [
        issue if flat or issue.field in _PLACE else issue._replace(field=f"variants[{index}].{issue.field}")
        for index, issue in error.row_issues
    ]
    return list(dict.fromkeys(issues))


def parse_batch(data: Any) -> tuple[Mode, list[ReferencedCounts]]:
    """Mode and rows of a batch; raises DRF's ValidationError with fields such as rows[3].clicks."""
    if (quick := _quick_batch(data)) is not None:
        return quick
    body = EventBatchSerializer(data=data)
    body.is_valid(raise_exception=True)
    rows = [(row.pop("experiment_id"), DailyCounts(**row)) for row in body.validated_data["rows"]]
    return body.validated_data["mode"], rows


def quick_day(data: Any) -> tuple[str, list[DailyCounts]] | None:
    """The classic body, one day of one experiment; None where the serializer must look at it."""
    if type(data) is not dict or data.keys() != _PLACE | {"variants"} or type(data["variants"]) is not list:
        return None
    reference, date = _quick_reference(data["experiment_id"]), _quick_date(data["date"])
    rows = [_quick_counts(item, date) for item in data["variants"]] if reference and date else []
    if not rows or None in rows:
        return None
    return str(reference), [row for row in rows if row is not None]


def _quick_batch(data: Any) -> tuple[Mode, list[ReferencedCounts]] | None:
    if type(data) is not dict or not data.keys() <= {"mode", "rows"} or type(data.get("rows")) is not list:
        return None
    mode, items = data.get("mode", "set"), data["rows"]
    if mode not in ("set", "add") or not 0 < len(items) <= MAX_BATCH_ROWS:
        return None
    dates: dict[Any, dt.date | None] = {}
    rows: list[ReferencedCounts] = []
    for item in items:
        row = _quick_row(item, dates)
        if row is None:
            return None
        rows.append(row)
    return mode, rows


def _quick_row(item: Any, dates: dict[Any, dt.date | None]) -> ReferencedCounts | None:
    """``dates`` remembers the days of the batch: there are few, and many rows of each."""
    if type(item) is not dict or not item.keys() >= _PLACE:
        return None
    reference, text = _quick_reference(item["experiment_id"]), item["date"]
    if reference is None or type(text) is not str:
        return None
    if text not in dates:
        dates[text] = _quick_date(text)
    counts = _quick_counts(item, dates[text], _PLACE)
    return None if counts is None else (reference, counts)


def _quick_counts(
    item: Any, date: dt.date | None, beside: frozenset[str] = frozenset()
) -> DailyCounts | None:
    if date is None or type(item) is not dict:
        return None
    if not _REQUIRED | beside <= item.keys() <= _REQUIRED | beside | _OPTIONAL:
        return None
    name, conversions = item["variant_name"], item.get("conversions", 0)
    impressions, clicks = item["impressions"], item["clicks"]
    if type(name) is not str or name != name.strip() or not is_name(name):
        return None
    for value in (impressions, clicks, conversions):
        if type(value) is not int or not 0 <= value <= HIGHEST_COUNT:
            return None
    return DailyCounts(date, name, impressions, clicks, conversions)


def _quick_reference(value: Any) -> str | None:
    """An id, or a key; the serializer judges everything unusual."""
    if type(value) is int and value > 0:
        return str(value)
    return value if type(value) is str and _KEY.fullmatch(value) else None


def _quick_date(value: Any) -> dt.date | None:
    if type(value) is not str or not _ISO_DATE.fullmatch(value):
        return None
    try:
        return dt.date.fromisoformat(value)
    except ValueError:
        return None
