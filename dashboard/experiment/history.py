"""The history tab: who changed what about an experiment and its variants."""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.utils.translation import gettext as _

from dashboard.experiment.summary import Summary
from dashboard.experiment.tabs import tab
from dashboard.formatting import format_moment
from dashboard.settings.labels import format_value
from experiments.models import Experiment, Variant
from experiments.settings_schema import ALGORITHM_SETTINGS

MOST_CHANGES = 200
_NOT_SHOWN = {"created_at", "updated_at", "data_version", "experiment", "key"}
_BY_KEY = "API key "


@dataclass(frozen=True)
class FieldChange:
    field: str
    before: str
    after: str


@dataclass(frozen=True)
class Change:
    """One change; ``actor`` is empty where the service's own commands made it."""

    at: dt.datetime
    actor: str
    what: str
    reason: str
    fields: list[FieldChange]


@tab
def history(experiment: Experiment, date: dt.date, summary: Summary) -> dict[str, Any]:
    return {"changes": changes_of(experiment)}


def changes_of(experiment: Experiment) -> list[Change]:
    """List the changes, newest first, at most MOST_CHANGES; two queries."""
    own = list(Experiment.history.filter(id=experiment.pk).order_by("history_id"))
    of_variants = list(Variant.history.filter(experiment=experiment.pk).order_by("history_id"))
    names: dict[int, str] = {record.id: record.name for record in of_variants}
    changes = [
        *_changes(own, (_("Experiment created"), _("Experiment changed")), names),
        *_changes_by_variant(of_variants, names),
    ]
    return sorted(changes, key=lambda change: change.at, reverse=True)[:MOST_CHANGES]


def _changes_by_variant(records: list[Any], names: Mapping[int, str]) -> Iterator[Change]:
    for pk, name in names.items():
        titles = (_("Variant %(name)s created"), _("Variant %(name)s changed"))
        mine = [record for record in records if record.id == pk]
        yield from _changes(mine, (titles[0] % {"name": name}, titles[1] % {"name": name}), names)


def _changes(records: list[Any], titles: tuple[str, str], names: Mapping[int, str]) -> Iterator[Change]:
    """Compare each record with the one before it; a record that changed nothing visible is left out."""
    before: Any = None
    for record in records:
        created = before is None
        fields = [] if created else list(_differences(before, record, names))
        reason = record.history_change_reason or ""
        if created or fields or reason:
            yield Change(record.history_date, _actor(record), titles[0 if created else 1], reason, fields)
        before = record


def _actor(record: Any) -> str:
    """Name the actor: a login as it is, a key in the reader's language."""
    actor: str = record.history_user or ""
    if actor.startswith(_BY_KEY):
        return _("API key %(name)s") % {"name": actor.removeprefix(_BY_KEY)}
    return actor


def _differences(before: Any, after: Any, names: Mapping[int, str]) -> Iterator[FieldChange]:
    for field in after.tracked_fields:
        old, new = getattr(before, field.attname), getattr(after, field.attname)
        if field.name not in _NOT_SHOWN and old != new:
            yield FieldChange(_label(field.name), _shown(field, old, names), _shown(field, new, names))


def _label(name: str) -> str:
    if name in ALGORITHM_SETTINGS:
        return str(ALGORITHM_SETTINGS[name].label)
    labels = {
        "name": _("Name"),
        "description": _("Description"),
        "status": _("Status"),
        "reward": _("Reward"),
        "winner": _("Winner"),
        "archived_at": _("Archived"),
        "is_control": _("Control"),
        "is_active": _("In use"),
        "owner": _("Owner"),
        "tags": _("Tags"),
        "currency": _("Currency"),
        "value_cap": _("Value cap"),
        "fixed_variants": _("Variants are fixed"),
        "starts_at": _("Starts"),
        "ends_at": _("Ends"),
        "on_end": _("At the end"),
        "on_end_variant": _("Variant at the end"),
        "complete_when_decided": _("Complete when decided"),
        "decision_reason": _("Reason of the decision"),
    }
    return labels.get(name, name)


def _shown(field: Any, value: Any, names: Mapping[int, str]) -> str:
    """Write a value as the other pages do."""
    if field.name in ALGORITHM_SETTINGS:
        return _("default") if value is None else format_value(field.name, value)
    if value is None or value == "":
        return "–"
    if field.name in ("winner", "on_end_variant"):
        return names.get(value, str(value))
    if isinstance(field, models.BooleanField):
        return _("yes") if value else _("no")
    if isinstance(value, dt.datetime):
        return format_moment(value)
    return str(dict(field.flatchoices).get(value, value))
