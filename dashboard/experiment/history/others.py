"""Entries that no record of the audit history holds: notes, what programs recorded, and what guards found."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

from django.db.models import BigIntegerField, CharField, F, Value
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dashboard.experiment.ending import actor_name
from dashboard.experiment.history.entries import Entry, Topic
from dashboard.formatting import format_date
from experiments.audit.intake import Intake
from experiments.campaign.models import Note
from experiments.metrics import Reward
from experiments.models import Experiment
from experiments.text import format_exact, format_number
from notifications.events import EventKind
from notifications.models import Alarm


def entries_of_days(experiment: Experiment, most: int | None) -> Iterator[Entry]:
    """Tell of notes, and of each day what each program recorded, at the time of its last call; one query."""
    blank, zero = Value("", CharField()), Value(0, BigIntegerField())
    columns = ("at", "who", "date", "said", "by", "rows", "times", "note")
    notes = Note.objects.filter(experiment=experiment).order_by()
    notes = notes.annotate(
        at=F("created_at"), who=F("author"), said=F("text"), by=blank, rows=zero, times=zero, note=F("id")
    )
    intakes = Intake.objects.filter(experiment=experiment).order_by()
    intakes = intakes.annotate(
        at=F("last_at"), who=F("actor"), said=blank, by=F("source"), rows=F("row_count"), times=F("calls"),
        note=zero,
    )  # fmt: skip
    both = notes.values_list(*columns).union(intakes.values_list(*columns), all=True)
    for at, actor, date, text, source, rows, calls, note in both.order_by("-at")[:most]:
        if source:
            yield _recorded(Entry(at, Topic.DATA, "", actor_name(actor)), date, source, rows, calls)
        else:
            title = _("Note for %(date)s") % {"date": format_date(date)}
            yield Entry(at, Topic.NOTES, title, actor_name(actor), text, note_id=note)


def _recorded(entry: Entry, date: dt.date, source: str, rows: int, calls: int) -> Entry:
    if source == "counts":
        title = ngettext("Visits counted (%(rows)s row)", "Visits counted (%(rows)s rows)", rows)
    else:
        title = ngettext("Data recorded (%(rows)s row)", "Data recorded (%(rows)s rows)", rows)
    text = ""
    if calls > 1:
        shown = {"calls": format_number(calls, 0), "date": format_date(date)}
        text = _("%(calls)s calls on %(date)s") % shown
    return replace(entry, title=title % {"rows": format_number(rows, 0)}, text=text)


def entries_of_guard_alarms(experiment: Experiment, most: int | None) -> Iterator[Entry]:
    """Tell when a guard warned and when one gave the control all traffic."""
    kinds = (EventKind.GUARD_WARNED, EventKind.GUARD_ACTED)
    names = {variant.key: variant.name for variant in experiment.variants.all()}
    for alarm in Alarm.objects.filter(experiment=experiment, kind__in=kinds)[:most]:
        has_acted = alarm.kind == EventKind.GUARD_ACTED
        title = _("A guard gave the control all traffic") if has_acted else _("A guard warned")
        harms = [_harm(harm, names) for harm in alarm.facts.get("harms", ())]
        yield Entry(alarm.raised_at, Topic.GUARDS, title, text="\n".join(filter(None, harms)))


def _harm(harm: dict[str, Any], names: dict[str, str]) -> str:
    try:
        said = {
            "metric": Reward(harm["metric"]).label,
            "variant": names.get(harm["variant"], harm["variant"]),
            "fall": f"{format_exact(Decimal(str(harm['max_fall'])))}%",
        }
    except (KeyError, ValueError):
        return ""
    return _("%(metric)s: %(variant)s is more than %(fall)s below the control.") % said
