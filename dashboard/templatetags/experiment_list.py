"""Words and bars of the rows of the list. Fifty rows of many small parts: a template takes several times as long."""

from collections.abc import Sequence
from typing import NamedTuple

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dashboard.charts import SplitPart, split_drawn
from dashboard.experiment_list.rows import Row, WarmUp
from dashboard.templatetags.formats import chance, count, lift, lift_range

register = template.Library()


class Said(NamedTuple):
    """Words of a row about its result. ``figure``: the lift beside the name of who is ahead; ``below``: a line of its
    own; nothing is said without ``words``."""

    words: str = ""
    below: str = ""
    figure: str = ""
    is_quiet: bool = False
    is_ahead: bool = False


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
def result(row: Row) -> Said:
    """Say how far it is, or who is ahead by how much."""
    if row.warm_up is not None:
        return _warming(row.waits_for, row.warm_up)
    ahead = row.ahead
    if ahead is not None and row.lift is not None:
        interval = lift_range(row.lift.low, row.lift.high)
        return Said(ahead.variant.name, interval, lift(row.lift.value), is_ahead=True)
    if ahead is not None:
        words = _("%(chance)s probability to be best") % {"chance": chance(ahead.probability_best)}
        return Said(ahead.variant.name, words, is_ahead=True)
    if row.summary.leader is not None and not row.has_successes:
        words = _("No %(unit)s yet") % {"unit": row.experiment.goal.successes_count.unit}
        return Said(words, is_quiet=True)
    return Said()


def _warming(waits_for: str, warm_up: WarmUp) -> Said:
    have = count(warm_up.impressions)
    so_far = _("%(have)s impressions") % {"have": have}
    match waits_for:
        case "data":
            return Said(_("No data yet"), is_quiet=True)
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


@register.simple_tag
def split_svg(split: Sequence[SplitPart]) -> SafeString:
    """Draw how traffic is split as a bar."""
    parts = ((part.colour, str(part.start), str(part.share)) for part in split_drawn(split))
    return format_html(
        '<svg class="split-bar" viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true">{}</svg>',
        format_html_join("", '<rect class="{}" x="{}" y="0" width="{}" height="1" />', parts),
    )
