"""Sentences for the coded reasons of the audit history, in the reader's language: for the pages and the admin."""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from experiments.audit import Happened, read_reason
from experiments.text import format_number

Facts = Mapping[str, Any]


class EventText(NamedTuple):
    """A title that says what happened, and a text with what else is known of it."""

    title: str
    text: str = ""


def describe(happened: Happened) -> EventText:
    """Write what a record says in a code; a code of a later version is shown as it is."""
    write = _SENTENCES.get(happened.code)
    return write(happened.facts) if write else EventText(happened.code)


def reason_in_words(reason: str | None) -> str:
    """Write the reason of a record: a coded one as a sentence, any other as it is."""
    if (happened := read_reason(reason)) is None:
        return reason or ""
    return ": ".join(filter(None, describe(happened)))


def _uploaded(facts: Facts) -> EventText:
    """Name the file, and how many rows of days or single orders it brought."""
    count = int(facts.get("orders", facts.get("rows", 0)))
    title = ngettext(
        "Data uploaded (%(file)s, %(rows)s row)", "Data uploaded (%(file)s, %(rows)s rows)", count
    )
    if "orders" in facts:
        title = ngettext(
            "Orders uploaded (%(file)s, %(rows)s order)", "Orders uploaded (%(file)s, %(rows)s orders)", count
        )
    return EventText(title % {"file": facts.get("file", ""), "rows": format_number(count, 0)}, _capped(facts))


def _capped(facts: Facts) -> str:
    if not (cut := int(facts.get("capped", 0))):
        return ""
    text = ngettext("%(cut)s order counts as the value cap", "%(cut)s orders count as the value cap", cut)
    return text % {"cut": format_number(cut, 0)}


def _day_edited(facts: Facts) -> EventText:
    return EventText(_("Day edited: %(date)s") % {"date": _date(facts.get("date"))}, _names(facts))


def _day_added(facts: Facts) -> EventText:
    return EventText(_("Day added: %(date)s") % {"date": _date(facts.get("date"))}, _names(facts))


def _guard_resumed(_facts: Facts) -> EventText:
    return EventText(_("Resumed after a guard had stopped it"))


def _columns_forgotten(facts: Facts) -> EventText:
    count = int(facts.get("count", 0))
    text = ngettext("%(n)s column", "%(n)s columns", count) % {"n": format_number(count, 0)}
    return EventText(_("Columns of files forgotten"), text)


def _link_made(facts: Facts) -> EventText:
    return EventText(_("Link to the report made, valid until %(date)s") % {"date": _date(facts.get("until"))})


def _link_revoked(facts: Facts) -> EventText:
    return EventText(_("Link to the report revoked, made on %(date)s") % {"date": _date(facts.get("made"))})


def _names(facts: Facts) -> str:
    shown = ", ".join(map(str, facts.get("names", ())))
    more = int(facts.get("more", 0))
    rest = _("and %(number)s more") % {"number": more}
    return f"{shown} {rest}" if more else shown


def _date(text: Any) -> str:
    try:
        return date_format(dt.date.fromisoformat(text), _("j M Y"))
    except (TypeError, ValueError):
        return str(text or "")


_SENTENCES: dict[str, Callable[[Facts], EventText]] = {
    "data.uploaded": _uploaded,
    "day.edited": _day_edited,
    "day.added": _day_added,
    "guard.resumed": _guard_resumed,
    "columns.forgotten": _columns_forgotten,
    "report.link_made": _link_made,
    "report.link_revoked": _link_revoked,
}
