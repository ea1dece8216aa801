"""A variant as tables write it: a row for each of up to a hundred, so it is drawn by code, which costs less."""

from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from dashboard.templatetags.formats import count, lift, lift_range
from experiments.models import Variant

register = template.Library()


@register.simple_tag
def swatch(colour: str) -> SafeString:
    """Draw a square in a variant's colour."""
    return format_html(
        '<svg class="swatch" viewBox="0 0 1 1" aria-hidden="true">'
        '<rect class="{}" width="1" height="1" rx="0.25" /></svg>',
        colour,
    )


@register.simple_tag
def variant(of: Variant, colour: str = "", *, leads: bool = False) -> SafeString:
    """Name a variant, with its colour and what is to be known of it."""
    return format_html(
        '<span class="variant-tag">{}<span>{}</span>{}{}{}</span>',
        swatch(colour) if colour else "",
        of.name,
        _badge("secondary", _("control")) if of.is_control and of.name != "control" else "",
        _badge("green", _("leader")) if leads else "",
        "" if of.is_active else _badge("secondary", _("inactive")),
    )


def _badge(tone: str, text: str) -> SafeString:
    return format_html(' <span class="badge bg-{}-lt">{}</span>', tone, text)


@register.filter
def of_total(value: Any) -> str:
    """Write the number below a part of it."""
    return _("of %(trials)s") % {"trials": count(value)}


@register.simple_tag
def forest(row: Any) -> SafeString:
    """Draw the interval of a row's lift on the axis of its table; nothing where there is none."""
    drawn = row.forest
    if drawn is None:
        return mark_safe("")
    return format_html(
        '<svg class="forest" role="img" width="100%" height="24" aria-label="{}">'
        '<line class="forest-zero" x1="{zero}" x2="{zero}" y1="0" y2="24" />{}{}{}'
        '<circle class="forest-point forest-{}" cx="{}" cy="12" r="4.5" /></svg>',
        _forest_in_words(row),
        _interval(drawn.tone, drawn.low, drawn.width) if drawn.width else "",
        _CUT_LOW if drawn.cut_low else "",
        _CUT_HIGH if drawn.cut_high else "",
        drawn.tone,
        drawn.point,
        zero=drawn.zero,
    )


def _interval(tone: str, low: str, width: str) -> SafeString:
    return format_html(
        '<rect class="forest-interval forest-{}" x="{}" y="9" width="{}" height="6" rx="3" />',
        tone,
        low,
        width,
    )


def _forest_in_words(row: Any) -> str:
    if not row.forest.width:
        return _("%(name)s: baseline") % {"name": row.variant.name}
    return _("%(name)s: %(lift)s, 95%% interval %(interval)s") % {
        "name": row.variant.name,
        "lift": lift(row.found.uplift),
        "interval": lift_range(row.found.uplift_low, row.found.uplift_high),
    }


_CUT_LOW = mark_safe('<text class="forest-cut" x="0" y="16">‹</text>')
_CUT_HIGH = mark_safe('<text class="forest-cut" x="100%" y="16" text-anchor="end">›</text>')


@register.simple_tag
def choice_to_ship(choice: Any) -> SafeString:
    """Draw a variant that may get all traffic at the end of an experiment, with what is known of it."""
    return format_html(
        '<label class="form-check end-choice"><input class="form-check-input" type="radio" name="winner" '
        'id="winner-{pk}" value="{pk}" data-says="{says}" required {checked}>'
        '<span class="form-check-label"><span class="end-name">{name}</span><small>{facts}</small></span></label>',
        pk=str(choice.variant.pk),
        says=choice.says,
        checked="checked" if choice.is_chosen else "",
        name=choice.variant.name,
        facts=_known_of(choice),
    )


def _known_of(choice: Any) -> str:
    if choice.is_low:
        return _("Not enough data")
    if choice.lift:
        ends = lift_range(choice.lift.low, choice.lift.high)
        found: str = format_html("<strong>{}</strong> ({})", lift(choice.lift.value), ends)
    else:
        found = _("baseline") if choice.variant.is_control else _("lift not known")
    return format_html("{} · {}", found, choice.chance_in_words)
