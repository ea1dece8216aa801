"""Entries from the records of an experiment, its variants and its guards: each compared with the one before it."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import Any

from django.db import models
from django.utils.translation import gettext as _

from dashboard.experiment.ending import actor_name, reason_text
from dashboard.experiment.history.entries import Entry, FieldChange, Topic
from dashboard.formatting import format_moment
from dashboard.settings.labels import format_value
from experiments.audit import read_reason
from experiments.audit.words import describe
from experiments.campaign.models import Guard
from experiments.metrics import Reward
from experiments.models import Experiment, Status, Variant
from experiments.settings_schema import ALGORITHM_SETTINGS
from experiments.text import format_exact

_CHUNK = 500
# Variants added together that are named one by one.
_MOST_NAMED = 10
_NOT_SHOWN = {
    "created_at", "updated_at", "data_version", "changed_from", "experiment", "key", "ended_at", "guards_since",
    "completed_at", "completed_by", "status_before_end",
}  # fmt: skip
# Subjects of coded reasons, by the first word of the code.
_TOPICS = {"data": Topic.DATA, "day": Topic.DATA, "guard": Topic.GUARDS, "report": Topic.SHARING}
# Fields of the entry's own title or text.
_IN_TITLES = {"status", "archived_at", "winner", "decision_reason", "is_active", "is_control"}


def entries_of_records(experiment: Experiment, most: int | None) -> list[Entry]:
    """Collect the entries of the experiment, its variants and its guards; three queries."""
    own = _records(Experiment.history.filter(id=experiment.pk), most)
    variants = list(_records(Variant.history.filter(experiment=experiment.pk), most))
    guards = _records(Guard.history.filter(experiment=experiment.pk), most)
    names: dict[int, str] = {record.id: record.name for record in variants}
    return [
        *_of_experiment(own, names),
        *_of_variants(variants),
        *_of_guards(guards),
    ]


def _records(found: Any, most: int | None) -> Iterable[Any]:
    """Read records, oldest first; all of them by and by, as each is many times as large as its entry."""
    if most is None:
        by_and_by: Iterable[Any] = found.order_by("history_id").iterator(_CHUNK)
        return by_and_by
    return list(found.order_by("-history_id")[:most])[::-1]


def _of_experiment(records: Iterable[Any], names: Mapping[int, str]) -> Iterator[Entry]:
    for before, record in pairwise(chain([None], records)):
        if before is None:
            if record.history_type == "+":
                yield Entry(record.history_date, Topic.STATUS, _("Created"), _actor(record))
            continue
        yield from _of_change(before, record, names)


def _of_change(before: Any, record: Any, names: Mapping[int, str]) -> Iterator[Entry]:
    """Name what a record changed: a move, settings or details, or what it says itself."""
    at, actor = record.history_date, _actor(record)
    happened = read_reason(record.history_change_reason)
    if happened is not None:
        title, text = describe(happened)
        yield Entry(at, _TOPICS.get(happened.code.partition(".")[0], Topic.DATA), title, actor, text)
    elif record.history_change_reason:
        yield Entry(at, Topic.DATA, _("Changed"), actor, record.history_change_reason)
    if before.status != record.status:
        yield _move(before, record, names)
    if bool(before.archived_at) != bool(record.archived_at):
        yield Entry(at, Topic.STATUS, _("Archived") if record.archived_at else _("Restored"), actor)
    fields = list(_differences(before, record, names))
    if fields:
        yield Entry(at, Topic.SETTINGS, _("Settings changed"), actor, fields=fields)


def _move(before: Any, record: Any, names: Mapping[int, str]) -> Entry:
    at, actor, text = record.history_date, _actor(record), ""
    if record.status == Status.COMPLETED:
        winner = names.get(record.winner_id)
        title = _("Ended: %(variant)s gets all traffic") % {"variant": winner} if winner else _("Ended")
        text = reason_text(record.decision_reason)
    elif before.status == Status.COMPLETED:
        title = _("End undone")
    elif record.status == Status.PAUSED:
        title = _("Paused")
    else:
        title = _("Resumed") if before.status == Status.PAUSED else _("Started")
    return Entry(at, Topic.STATUS, title, actor, text)


def _of_variants(records: Sequence[Any]) -> Iterator[Entry]:
    added: defaultdict[tuple[dt.datetime, str], list[Any]] = defaultdict(list)
    for mine in _by_id(records):
        for before, record in zip([None, *mine], mine, strict=False):
            at, actor = record.history_date, _actor(record)
            if before is None:
                if record.history_type == "+":
                    added[at.replace(microsecond=0), actor].append(record)
                continue
            for title in _variant_titles(before, record):
                yield Entry(at, Topic.VARIANTS, title, actor)
    yield from map(_added, added.values())


def _added(records: Sequence[Any]) -> Entry:
    """Tell of the variants that one person added within a second: those of a new experiment come together."""
    at, actor, names = records[-1].history_date, _actor(records[0]), [record.name for record in records]
    if len(names) == 1:
        return Entry(at, Topic.VARIANTS, _("Variant %(name)s added") % {"name": names[0]}, actor)
    title = _("%(number)s variants added") % {"number": len(names)}
    text = ", ".join(names[:_MOST_NAMED])
    if (more := len(names) - _MOST_NAMED) > 0:
        text += " " + _("and %(number)s more") % {"number": more}
    return Entry(at, Topic.VARIANTS, title, actor, text)


def _variant_titles(before: Any, record: Any) -> Iterator[str]:
    names = {"name": record.name, "before": before.name}
    if before.name != record.name:
        yield _("Variant %(before)s renamed to %(name)s") % names
    if before.is_active and not record.is_active:
        yield _("Variant %(name)s deactivated") % names
    elif record.is_active and not before.is_active:
        yield _("Variant %(name)s reactivated") % names
    if record.is_control and not before.is_control:
        yield _("%(name)s is the control") % names


def _of_guards(records: Iterable[Any]) -> Iterator[Entry]:
    for mine in _by_id(records):
        for before, record in zip([None, *mine], mine, strict=False):
            said = {"metric": Reward(record.metric).label}
            entry = Entry(record.history_date, Topic.GUARDS, "", _actor(record))
            if record.history_type == "-":
                yield _titled(entry, _("Guard removed: %(metric)s") % said)
            elif before is None:
                yield _titled(entry, _("Guard added: %(metric)s") % said, [_fall(None, record)])
            else:
                fields = [_fall(before, record), _action(before, record)]
                changed = [field for field in fields if field.before != field.after]
                yield _titled(entry, _("Guard changed: %(metric)s") % said, changed)


def _titled(entry: Entry, title: str, fields: list[FieldChange] | None = None) -> Entry:
    return Entry(entry.at, entry.topic, title, entry.actor, fields=fields or [])


def _fall(before: Any, after: Any) -> FieldChange:
    shown = [f"{format_exact(one.max_fall)}%" if one else "–" for one in (before, after)]
    return FieldChange(_("Largest fall"), *shown)


def _action(before: Any, after: Any) -> FieldChange:
    return FieldChange(_("Action"), before.get_action_display(), after.get_action_display())


def _by_id(records: Iterable[Any]) -> list[list[Any]]:
    found: defaultdict[int, list[Any]] = defaultdict(list)
    for record in records:
        found[record.id].append(record)
    return list(found.values())


def _actor(record: Any) -> str:
    return actor_name(record.history_user or "")


def _differences(before: Any, after: Any, names: Mapping[int, str]) -> Iterator[FieldChange]:
    for field in after.tracked_fields:
        old, new = getattr(before, field.attname), getattr(after, field.attname)
        if field.name not in _NOT_SHOWN | _IN_TITLES and old != new:
            yield FieldChange(_label(field.name), _shown(field, old, names), _shown(field, new, names))


def _label(name: str) -> str:
    if name in ALGORITHM_SETTINGS:
        return str(ALGORITHM_SETTINGS[name].label)
    labels = {
        "name": _("Name"),
        "description": _("Hypothesis"),
        "reward": _("Goal metric"),
        "owner": _("Owner"),
        "tags": _("Tags"),
        "currency": _("Currency"),
        "value_cap": _("Value cap"),
        "fixed_variants": _("Variants are fixed"),
        "starts_at": _("Starts"),
        "ends_at": _("Ends"),
        "on_end": _("At the end"),
        "on_end_variant": _("Variant at the end"),
        "complete_when_decided": _("Ends by itself once ready to decide"),
    }
    return labels.get(name, name)


def _shown(field: Any, value: Any, names: Mapping[int, str]) -> str:
    """Write a value as the other pages do."""
    if field.name in ALGORITHM_SETTINGS:
        return _("default") if value is None else format_value(field.name, value)
    if value is None or value == "":
        return "–"
    if field.name == "on_end_variant":
        return names.get(value, str(value))
    if isinstance(field, models.BooleanField):
        return _("yes") if value else _("no")
    if isinstance(value, dt.datetime):
        return format_moment(value)
    return str(dict(field.flatchoices).get(value, value))
