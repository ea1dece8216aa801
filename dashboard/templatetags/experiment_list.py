"""The cells of the list's rows. Fifty rows of many small parts: a template takes several times as long."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from django import template
from django.urls import get_script_prefix, reverse
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from allocation.models import AllocationShare
from dashboard.charts import SplitPart, split_drawn
from dashboard.experiment_list.rows import Row, WarmUp
from dashboard.experiment_list.stages import Stage
from dashboard.templatetags.formats import chance, count, day, lift, lift_range, percent, reward_unit, signed
from dashboard.templatetags.variants import swatch
from experiments.models import Status

register = template.Library()

_DASH = SafeString('<span class="text-secondary list-dash">–</span>')
# Addresses that a worker remembers.
_ADDRESSES = 2000


class Said(NamedTuple):
    """A row's result in words. ``figure``: the lift beside the name of who is ahead; ``below``: a line of its
    own; nothing is said without ``words``."""

    words: str = ""
    below: str = ""
    figure: str = ""
    is_quiet: bool = False
    is_ahead: bool = False


@register.filter
def link(row: Row) -> SafeString:
    """Name the experiment, with the way to its results."""
    address = _address(get_script_prefix(), row.experiment.key)
    return format_html('<a href="{}">{}</a>', address, row.experiment.name)


@lru_cache(_ADDRESSES)
def _address(_prefix: str, key: str) -> str:
    return reverse("dashboard:results", kwargs={"reference": key})


@register.filter
def about(row: Row) -> str:
    """Name the goal, the number of variants, the days so far and the owner."""
    experiment, days = row.experiment, row.days
    variants = len(experiment.variants.all())
    parts = [
        str(experiment.goal.label),
        ngettext("%(number)s variant", "%(number)s variants", variants) % {"number": variants},
        ngettext("%(days)s day", "%(days)s days", days) % {"days": days} if days else "",
        experiment.owner,
    ]
    return " · ".join(filter(None, parts))


@register.filter
def badges(row: Row) -> SafeString:
    """Write its stage, and what is wrong with it."""
    stage = format_html('<span class="badge stage-{}">{}</span>', row.stage.value, row.stage.label)
    flags = (format_html(' <span class="badge flag-{}">{}</span>', one.value, one.label) for one in row.flags)
    return SafeString("".join([stage, *flags]))


@register.filter
def result(row: Row) -> SafeString:
    """Write how far it is, or who is ahead by how much."""
    said = _said(row)
    if said.is_ahead:
        words = _ahead(row, said)
    elif said.is_quiet:
        words = format_html('<span class="text-secondary">{}</span>', said.words)
    else:
        words = format_html("{}", said.words) if said.words else _DASH
    return format_html("{}<small>{}</small>", words, said.below) if said.below else words


def _ahead(row: Row, said: Said) -> SafeString:
    return format_html(
        '<span class="list-ahead">{}<span>{}</span>{}</span>',
        swatch(row.summary.leader_colour),
        said.words,
        format_html(" <strong>{}</strong>", said.figure) if said.figure else "",
    )


def _said(row: Row) -> Said:
    if row.warm_up is not None:
        return _warming(row.waits_for, row.warm_up)
    return _of_nobody(row) if row.ahead is None else _of_who_is_ahead(row, row.ahead)


def _of_who_is_ahead(row: Row, ahead: AllocationShare) -> Said:
    shown, has_ended = row.shown_lift, row.experiment.status == Status.COMPLETED
    words = _("%(chance)s probability to be best") % {"chance": chance(ahead.probability_best)}
    if row.is_chosen:
        words = _("gets all traffic")
    elif row.lift is not None and row.is_control_bare:
        words = _beside_bare_control(row, ahead)
    elif shown is not None:
        return Said(ahead.variant.name, lift_range(shown.low, shown.high), lift(shown.value), is_ahead=True)
    elif has_ended and not row.is_certain:
        words = _("gets all traffic")
    return Said(ahead.variant.name, words, is_ahead=True)


def _of_nobody(row: Row) -> Said:
    """Say why nobody is ahead, where that is known."""
    if row.is_stopped and row.experiment.status == Status.PAUSED:
        return Said(str(Stage.GUARDED.label), is_quiet=True)
    if row.rivals:
        return _unjudged(row.rivals)
    if row.is_tied:
        return _level(row)
    if row.summary.leader is not None and not row.has_successes:
        words = _("No %(unit)s yet") % {"unit": row.experiment.goal.successes_count.unit}
        return Said(words, is_quiet=True)
    return Said()


def _unjudged(rivals: Sequence[AllocationShare]) -> Said:
    if len(rivals) == 1:
        words = _("%(name)s may be better") % {"name": rivals[0].variant.name}
    else:
        words = _("%(count)s variants may be better") % {"count": len(rivals)}
    return Said(words, _("not enough data to judge"), is_quiet=True)


def _level(row: Row) -> Said:
    if row.is_level:
        return Said(_("All variants are level"), is_quiet=True)
    names = [share.variant.name for share in row.level]
    if len(names) == 2:
        words = _("%(first)s and %(second)s are level") % {"first": names[0], "second": names[1]}
    else:
        words = _("%(count)s variants are level") % {"count": len(names)}
    below = _("%(chance)s probability to be best each") % {"chance": chance(row.level[0].probability_best)}
    return Said(words, below, is_quiet=True)


def _beside_bare_control(row: Row, ahead: AllocationShare) -> str:
    words = _("%(chance)s probability to be best; the control has no %(unit)s")
    unit = row.experiment.goal.successes_count.unit
    return words % {"chance": chance(ahead.probability_best), "unit": unit}


def _warming(waits_for: str, warm_up: WarmUp) -> Said:
    have = count(warm_up.impressions)
    so_far = _("%(have)s impressions") % {"have": have}
    match waits_for:
        case "data":
            return Said(_("No data yet"), is_quiet=True)
        case "day":
            return Said(_("Data counts from tomorrow on"), is_quiet=True)
        case "impressions":
            return Said(_("No impressions yet"), is_quiet=True)
        case "allocation":
            return Said(so_far, _("counted from the next allocation on"))
        case "variants":
            return Said(so_far, _("two active variants need data"))
    words = _("%(have)s of %(need)s impressions") % {"have": have, "need": count(warm_up.needed)}
    return Said(words, _days_to_go(warm_up.days))


def _days_to_go(days: int | None) -> str:
    if not days:
        return ""
    return ngettext("about %(days)s more day", "about %(days)s more days", days) % {"days": days}


@register.filter
def split(row: Row) -> SafeString:
    """Draw how traffic is split as a bar, and name the largest share."""
    parts, top = row.summary.split, row.top_part
    if not parts:
        return _DASH
    if top is None:
        return format_html("{}<small>{}</small>", _bar(parts), _("even split"))
    return format_html(
        '{}<small><span class="list-top">{} {}</span></small>', _bar(parts), top.name, percent(top.share)
    )


def _bar(parts: Sequence[SplitPart]) -> SafeString:
    drawn = (
        f'<rect class="{escape(part.colour)}" x="{part.start}" y="0" width="{part.share}" height="1" />'
        for part in split_drawn(parts)
    )
    return format_html(
        '<svg class="split-bar" viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true">{}</svg>',
        SafeString("".join(drawn)),
    )


@register.filter
def gain(row: Row) -> SafeString:
    """Write what it gained over an even split, with the interval."""
    found = row.summary.gain
    if not found:
        return _DASH
    interval = _("%(low)s to %(high)s") % {"low": signed(found.low), "high": signed(found.high)}
    unit = reward_unit(row.experiment)
    return format_html("<strong>{}</strong> {}<small>{}</small>", signed(found.value), unit, interval)


@register.filter
def data(row: Row) -> SafeString:
    """Write the last day with data, and that of the result where it is an earlier one."""
    if row.result_through is None:
        return format_html("{}", day(row.latest))
    words = _("result: %(date)s") % {"date": day(row.result_through)}
    return format_html("{}<small>{}</small>", day(row.latest), words)
