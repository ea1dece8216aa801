"""Where an experiment stands, in one plain sentence in the reader's language (the APIs always speak English)."""

from django.utils.translation import gettext as _

from allocation.engine.state import DECIDED_BELOW
from allocation.rounding import percent_words, rounded


def sentence(
    *, state: str, leader: str, chance: float, value_remaining: float, active: int, reporting: int
) -> str:
    """For someone who has not seen the numbers. ``reporting``: variants with data in the window."""
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
        times = rounded(1 + remaining, 1)
        return _("another variant may still be up to %(times)s times as good") % {"times": times}
    return _("another variant may still be up to %(gain)s better") % {"gain": _percent(remaining)}


def _percent(fraction: float) -> str:
    """With one decimal, and never 0% or 100% for what is not certain."""
    return percent_words(min(max(fraction, 0.001), 0.999))
