"""The audit history of an experiment and its variants as lines: who changed which field from what to what."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

from experiments.models import Experiment, Variant
from experiments.tables.importing.rows import as_cell

HISTORY_COLUMNS = ("at", "by", "subject", "field", "before", "after", "reason")
_NOT_SHOWN = {"updated_at", "data_version", "changed_from", "id", "experiment"}
_CHUNK = 500


def history_lines(experiment: Experiment) -> Iterator[tuple[object, ...]]:
    """Yield a line for each field that changed, by subject and then oldest first; two queries, read in chunks."""
    own = Experiment.history.filter(id=experiment.pk).order_by("history_id")
    variants = Variant.history.filter(experiment=experiment.pk).order_by("id", "history_id")
    yield from _changes(own.iterator(_CHUNK), "experiment")
    yield from _changes(variants.iterator(_CHUNK), "variant")


def _changes(records: Iterator[Any], kind: str) -> Iterator[tuple[object, ...]]:
    before: Any = None
    for record in records:
        if before is not None and before.id != record.id:
            before = None
        yield from _lines(before, record, kind)
        before = record


def _lines(before: Any, record: Any, kind: str) -> Iterator[tuple[object, ...]]:
    """Compare a record with the one before it; the first of a subject is its creation."""
    subject = as_cell(record.name if kind == "variant" else kind)
    place = (record.history_date.isoformat(), as_cell(record.history_user_id or ""), subject)
    reason = as_cell(record.history_change_reason or "")
    if before is None:
        yield (*place, "", "", "created", reason)
        return
    for field in record.tracked_fields:
        old, new = getattr(before, field.attname), getattr(record, field.attname)
        if field.name not in _NOT_SHOWN and old != new:
            yield (*place, field.name, _cell(old), _cell(new), reason)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return as_cell(value.isoformat() if isinstance(value, dt.date) else str(value))
