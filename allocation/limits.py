"""Limits as data: the texts of the decision log, the admin and the pages on each limit that may hold a share.

The engine names the limit by its ``key`` and knows no words; every other text about a limit is here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from allocation.engine.limits_preview import Reach
from experiments.text import Text, format_exact, format_percent


@dataclass(frozen=True)
class Limit:
    """A limit that kept a share from its target.

    ``label`` names it in a list, ``held`` beside the share it held. ``reason`` is the sentence of the decision log
    on a leader that it holds. ``promise`` says before there is any data what it means, with ``figures`` in it.
    """

    key: str
    label: Text
    held: Text
    reason: str
    promise: Text = ""
    figures: Callable[[Reach], Mapping[str, str]] = lambda reach: {}


NO_LIMIT = "none"
LIMITS: Mapping[str, Limit] = {
    limit.key: limit
    for limit in (
        Limit(NO_LIMIT, _("None"), "", gettext_noop("{name} leads: {chance} likely to be the best.")),
        Limit(
            "control_floor",
            _("Minimum control share"),
            _("Minimum control share"),
            "{name} leads: {chance} likely to be the best. The control floor holds its share.",
            _("The control never gets less than <strong>%(share)s</strong>."),
            lambda reach: {"share": format_percent(reach.control_floor)},
        ),
        Limit(
            "exploration_floor",
            _("Minimum exploration share"),
            _("Minimum exploration share"),
            "{name} leads: {chance} likely to be the best. The exploration floor holds its share.",
            _("Every other variant gets at least <strong>%(share)s</strong>."),
            lambda reach: {"share": format_percent(reach.variant_floor, 2)},
        ),
        Limit(
            "cap_up",
            _("Maximum daily increase"),
            _("Maximum daily increase"),
            "{name} leads: {chance} likely to be the best. The daily cap limits how fast its share grows.",
            _("Shares change by at most <strong>%(points)s percentage points</strong> per day."),
            lambda reach: {"points": format_exact(100 * Decimal(str(reach.daily_cap)))},
        ),
        Limit(
            "cap_down",
            _("Maximum daily decrease"),
            _("Maximum daily decrease"),
            "{name} leads: {chance} likely to be the best. The daily cap limits how fast its share moves.",
        ),
        Limit(
            "low_evidence",
            _("Too little data"),
            _("Too little data (capped at an even share)"),
            gettext_noop(
                "{name} has too little data to be judged; until it has more it gets an even share at most."
            ),
        ),
    )
}


def promises(reach: Reach) -> list[str]:
    """Say what the limits mean for so many variants, a sentence of HTML for each that holds before any data."""
    return [str(limit.promise) % limit.figures(reach) for limit in LIMITS.values() if limit.promise]
