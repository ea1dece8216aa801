"""Who changed what: the audit history of an experiment and its variants as rows to read."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from experiments.models import Experiment, Variant

MOST_CHANGES = 200
_NOT_SHOWN = {"created_at", "updated_at", "data_version", "experiment", "key"}


@dataclass(frozen=True)
class FieldChange:
    field: str
    before: str
    after: str


@dataclass(frozen=True)
class Change:
    """``actor`` is empty for what the service's own commands did."""

    at: dt.datetime
    actor: str
    what: str
    reason: str
    fields: list[FieldChange]


def changes_of(experiment: Experiment) -> list[Change]:
    """Newest first, at most MOST_CHANGES; two queries."""
    own = list(Experiment.history.filter(id=experiment.pk).order_by("history_id"))
    of_variants = list(Variant.history.filter(experiment=experiment.pk).order_by("history_id"))
    changes = [*_changes(own, _("Experiment")), *_changes_by_variant(of_variants)]
    return sorted(changes, key=lambda change: change.at, reverse=True)[:MOST_CHANGES]


def _changes_by_variant(records: list[Any]) -> Iterator[Change]:
    for pk in dict.fromkeys(record.id for record in records):
        mine = [record for record in records if record.id == pk]
        yield from _changes(mine, _("Variant %(name)s") % {"name": mine[-1].name})


def _changes(records: list[Any], subject: str) -> Iterator[Change]:
    """Each record beside the one before it; a record that changed nothing visible is left out."""
    before: Any = None
    for record in records:
        created = before is None
        fields = [] if created else list(_differences(before, record))
        reason = record.history_change_reason or ""
        if created or fields or reason:
            what = _("%(subject)s created") if created else _("%(subject)s changed")
            yield Change(
                record.history_date, record.history_user or "", what % {"subject": subject}, reason, fields
            )
        before = record


def _differences(before: Any, after: Any) -> Iterator[FieldChange]:
    for field in after.tracked_fields:
        old, new = getattr(before, field.attname), getattr(after, field.attname)
        if field.name not in _NOT_SHOWN and old != new:
            yield FieldChange(field.name.replace("_", " "), _shown(old), _shown(new))


def _shown(value: Any) -> str:
    return _("default") if value is None else str(value)
