"""Numbers, icons and links as pages write them, in the reader's language."""

import datetime as dt
import math
from decimal import Decimal
from typing import Any

from django import template
from django.http import HttpRequest
from django.templatetags.static import static
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from allocation.models import AllocationShare
from allocation.unjudged import orders_short
from dashboard.formatting import (
    decimals_of,
    format_date,
    format_lift,
    format_lifts,
    format_moment,
    format_rate,
    format_rates,
    format_weekday,
)
from experiments.metrics import EXACT_DIGITS, Kind, Measure
from experiments.models import Experiment
from experiments.text import Text, format_chance, format_exact, format_number, format_percent

register = template.Library()

_MISSING = "–"
# What Django's templates make of an attribute of None.
_NOTHING = (None, "")


@register.filter
def missing(found: Any, experiment: Experiment) -> str:
    """Write what a variant's statistics or share lack to be judged: orders where those are too few, else trials."""
    if orders := orders_short(found.effective_orders):
        said = ngettext("about %(orders)s more order", "about %(orders)s more orders", orders)
        return said % {"orders": format_number(orders, 0)}
    trials = {"missing": count(found.missing_trials), "unit": experiment.goal.trials_count.unit}
    return _("about %(missing)s more %(unit)s") % trials


@register.simple_tag
def icon(name: str) -> SafeString:
    """Draw one of the vendored outlines, sized and coloured as the text beside it."""
    sprite = static("vendor/tabler-icons/sprite.svg")
    return format_html('<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>', sprite, name)


@register.filter
def count(value: Any) -> str:
    """Write a whole number with its thousands apart."""
    return _MISSING if value in _NOTHING else number_format(round(value), 0, force_grouping=True)


@register.filter
def measured(value: Any, measure: Measure) -> str:
    """Write a number of a day as its measure is: counts whole, amounts with two places, or all if they have more."""
    if value in _NOTHING or measure.kind is Kind.WHOLE:
        return count(value)
    # sums of floats end in digits that mean nothing
    exact = Decimal(f"{value:.{EXACT_DIGITS}g}") if measure.kind is Kind.SQUARES else value
    return max(format_number(exact, 2), format_exact(exact), key=len)


@register.filter
def amount(value: Any) -> str:
    """Write a value per visitor, which may be a small part of a coin."""
    return _MISSING if value in _NOTHING else format_number(value, 4)


@register.filter
def rate(value: Any, experiment: Experiment) -> str:
    """Write a rate as its goal is: percent, or the value per trial with the currency."""
    shown = bare_rate(value, experiment)
    currency = experiment.currency if experiment.goal.is_value and value not in _NOTHING else ""
    return f"{shown} {currency}" if currency else shown


@register.filter
def bare_rate(value: Any, experiment: Experiment) -> str:
    """Write a rate beside another one that names the currency."""
    if value in _NOTHING:
        return _MISSING
    return _money(value) if experiment.goal.is_value else format_rate(value)


@register.simple_tag
def rate_range(low: Any, high: Any, experiment: Experiment) -> str:
    """Write the interval of a rate, with as many digits as tell its ends apart."""
    if low in _NOTHING or high in _NOTHING:
        return _MISSING
    ends = (_money(low), _money(high)) if experiment.goal.is_value else format_rates(low, high)
    return " – ".join(ends)


@register.filter
def share_of(value: Any) -> str:
    """Write a ratio of counts."""
    return _MISSING if value in _NOTHING else format_rate(value)


@register.filter
def lift(value: Any) -> str:
    return _MISSING if value in _NOTHING else format_lift(value)


@register.simple_tag
def lift_range(low: Any, high: Any) -> str:
    """Write the interval of a lift; an end that the data leave open has none."""
    if low in _NOTHING or high in _NOTHING:
        ends = "−∞" if low in _NOTHING else format_lift(low), "∞" if high in _NOTHING else format_lift(high)
    else:
        ends = format_lifts(low, high)
    return _("%(low)s to %(high)s") % {"low": ends[0], "high": ends[1]}


@register.filter
def loss(value: Any, experiment: Experiment) -> str:
    return (
        rate(value, experiment)
        if experiment.goal.is_value
        else percent(value, max(3, decimals_of(100 * (value or 0))))
    )


@register.filter
def counted(share: AllocationShare, experiment: Experiment) -> str:
    """Write what a variant's trials brought: a count, or the value."""
    return rate(share.value_sum, experiment) if experiment.goal.is_value else count(share.successes)


@register.filter
def posterior(share: AllocationShare, experiment: Experiment) -> str:
    """Write the distribution of a rate; that of a value per trial is the Gamma which its Beta stands for."""
    alpha, beta = share.posterior_alpha, share.posterior_beta
    if experiment.goal.is_value and alpha and share.rate:
        return f"Gamma({decimal(alpha, 1)}; {decimal(alpha / share.rate, 1)})"
    return f"Beta({decimal(alpha, 1)}; {decimal(beta, 1)})"


@register.filter
def reward_unit(experiment: Experiment) -> Text:
    """Name what gains are counted in, within a sentence."""
    goal = experiment.goal
    return experiment.currency if goal.is_value and experiment.currency else goal.successes_count.unit


def _money(value: Any) -> str:
    """Write an amount with two decimals, or as many as show two digits of it."""
    if value in _NOTHING:
        return _MISSING
    small = 0 < abs(value) < 1
    return format_number(value, max(2, 1 - math.floor(math.log10(abs(value)))) if small else 2)


@register.filter
def gained(value: Any, by_value: bool) -> str:
    """Write clicks whole, or an amount with the decimals that it needs."""
    return _money(value) if by_value else count(value)


@register.filter
def signed_gain(value: Any, by_value: bool) -> str:
    if not by_value or value in _NOTHING:
        return signed(value)
    return f"{'+' if value > 0 else ''}{_money(value)}"


@register.filter
def signed(value: Any) -> str:
    if value in _NOTHING:
        return _MISSING
    sign = "+" if round(value) > 0 else "−" if round(value) < 0 else ""
    return f"{sign}{count(abs(value))}"


@register.filter
def percent(value: Any, decimals: int = 1) -> str:
    """Write a fraction as percent."""
    return _MISSING if value in _NOTHING else format_percent(value, decimals)


@register.filter
def chance(value: Any) -> str:
    """Write a probability, never as certain or impossible."""
    return _MISSING if value in _NOTHING else format_chance(value)


@register.filter
def decimal(value: Any, decimals: int = 2) -> str:
    return _MISSING if value in _NOTHING else format_number(value, decimals)


@register.filter
def p_value(value: float) -> str:
    """Write a p-value with three decimals, never as 0."""
    return f"p < {decimal(0.001, 3)}" if value < 0.001 else f"p = {decimal(value, 3)}"


@register.filter
def day(value: dt.date | None) -> str:
    return _MISSING if value in _NOTHING else format_date(value)


@register.filter
def weekday(value: dt.date) -> str:
    return format_weekday(value)


@register.filter
def moment(value: dt.datetime | None) -> str:
    return _MISSING if value in _NOTHING else format_moment(value)


@register.simple_tag
def meter(value: Any, colour: str) -> SafeString:
    """Draw a fraction as a short bar beside its number."""
    width = min(max(float(value or 0), 0.0), 1.0)
    return format_html(
        '<svg class="meter" viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="meter-ground" width="1" height="1" /><rect class="{}" width="{}" height="1" /></svg>',
        colour,
        f"{width:.4f}",
    )


@register.filter
def iso(value: dt.date | None) -> str:
    return "" if value in _NOTHING else value.isoformat()


@register.simple_tag(takes_context=True)
def with_query(context: dict[str, Any], **changes: Any) -> str:
    """Write this page's address with some of its query changed; None takes a parameter away."""
    request: HttpRequest = context["request"]
    query = request.GET.copy()
    for name, value in changes.items():
        query.pop(name, None)
        if value not in (None, ""):
            query[name] = str(value)
    return f"?{query.urlencode()}"


@register.filter
def unlocalized(value: object) -> str:
    """Write a value for attributes and addresses: no thousands apart, a point for decimals."""
    return str(value)
