"""Decisions in plain words: the reason that the decision log records, and the status sentence that a page shows."""

from collections.abc import Sequence

from django.utils.translation import gettext as _

from allocation.engine import Decision, Settings
from allocation.engine.state import DECIDED_BELOW
from allocation.limits import LIMITS
from experiments.text import format_number, format_percent

_EVEN = "traffic moves toward an even split."


def reason_sentence(
    decision: Decision, names: Sequence[str], active: Sequence[bool], settings: Settings
) -> str:
    """State what decided the split, and which limit had to give way."""
    if sum(active) == 1:
        return "There is one active variant; it gets all traffic."
    text = _warm_up(decision, settings) if decision.warm_up else _optimized(decision, names)
    if decision.cap > settings.max_daily_shift + 1e-9:
        text += f" The floors did not fit within the daily cap, which was widened to {decision.cap:.4f}."
    return text


def _warm_up(decision: Decision, settings: Settings) -> str:
    seen = int(decision.window.impressions_so_far)
    if seen < settings.min_impressions:
        return f"Warm-up: {seen:,} of {settings.min_impressions:,} impressions so far; {_EVEN}"
    return f"Warm-up: fewer than two variants have data in the window; {_EVEN}"


def _optimized(decision: Decision, names: Sequence[str]) -> str:
    lead = decision.lead
    chance = _likelihood(float(decision.probability_best[lead]))
    return LIMITS[decision.bound[lead]].reason.format(name=names[lead], chance=chance)


def _likelihood(chance: float) -> str:
    """Format a probability; one that is not certain is never 100%."""
    if chance > 0.999:
        return "more than 99.9%"
    return f"{chance:.1%}"


def status_sentence(
    *, state: str, leader: str, chance: float, value_remaining: float, active: int, reporting: int
) -> str:
    """Describe the experiment to a reader who has not seen the numbers.

    ``reporting``: variants with data in the window.
    """
    values = {"leader": leader, "chance": _percent(chance)}
    if active < 2:
        return _("%(leader)s is the only active variant and gets all traffic.") % values
    if state == "collecting" and reporting < 2:
        return _(
            "Waiting for data from at least two variants; until then traffic moves toward an even split."
        )
    if state == "collecting":
        return _("Not enough data to optimize yet: traffic is split evenly, as far as the limits allow.")
    if state == "decided":
        values["remaining"] = _percent(value_remaining)
        return (
            _("%(leader)s can be chosen: with 95%% probability no variant is more than %(remaining)s better.")
            % values
        )
    values["gain"] = _gain(value_remaining)
    if state == "leader":
        return _("%(leader)s leads with a %(chance)s chance of being the best; %(gain)s.") % values
    return (
        _("No clear winner yet: %(leader)s is in front with a %(chance)s chance of being the best; %(gain)s.")
        % values
    )


def _gain(remaining: float) -> str:
    if remaining < DECIDED_BELOW:
        return _("little is left to gain from more data")
    if remaining > 10:
        return _("another variant may still be many times as good")
    if remaining > 1:
        times = format_number(1 + remaining, 1)
        return _("another variant may still be up to %(times)s times as good") % {"times": times}
    return _("another variant may still be up to %(gain)s better") % {"gain": _percent(remaining)}


def _percent(fraction: float) -> str:
    """Format a fraction with one decimal; one that is not certain is never 0% or 100%."""
    return format_percent(min(max(fraction, 0.001), 0.999))
