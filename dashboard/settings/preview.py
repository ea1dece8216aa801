"""The meaning of a form's settings for a number of variants, in figures for a sentence each."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from allocation.engine.limits_preview import Reach, reach_of
from allocation.limits import promises
from dashboard.charts import SplitPart
from dashboard.settings.forms import SettingsForm
from experiments.models import MAX_VARIANTS
from experiments.settings_schema import SettingValue

# Where there are no variants yet, two stand for them.
_EXAMPLE = 2


@dataclass(frozen=True)
class Limits:
    """Limits in figures. ``reach`` is None for a single variant; ``uneven`` is the most uneven split allowed.

    ``promises``: a sentence of HTML for each limit.
    """

    variants: int
    is_example: bool
    settings: Mapping[str, SettingValue]
    reach: Reach | None
    uneven: list[SplitPart]

    @property
    def promises(self) -> list[SafeString]:
        # the sentences are our own and hold nothing but numbers
        return [mark_safe(text) for text in promises(self.reach)] if self.reach else []  # noqa: S308

    @property
    def even(self) -> float:
        return 1 / self.variants


def limits_of(form: SettingsForm, variants: int) -> Limits | None:
    """Preview the limits; None where the form holds what is refused."""
    # an unbound form is the installation's settings and the experiment's own
    checked = form if form.is_bound else type(form)({k: v for k, v in form.initial.items() if v is not None})
    checked.is_valid()
    if any(name in checked.errors for name in SettingsForm().fields):
        return None
    merged = checked.merged_settings()
    count = min(variants, MAX_VARIANTS) or _EXAMPLE
    reach = None
    if count > 1:
        reach = reach_of(
            count,
            control_floor=float(merged["control_floor"]),
            min_explore_rate=float(merged["min_explore_rate"]),
            max_daily_shift=float(merged["max_daily_shift"]),
        )
    return Limits(count, variants == 0, merged, reach, _uneven(count, reach) if reach else [])


def _uneven(variants: int, reach: Reach) -> list[SplitPart]:
    """Control, winner, and the others as one piece."""
    control, best = Decimal(str(reach.control_floor)), Decimal(str(reach.ceiling))
    parts = [
        SplitPart(_("control"), Decimal(0), control, "variant-control"),
        SplitPart(_("best variant"), control, best, "variant-1"),
    ]
    if variants > 2:
        parts.append(SplitPart(_("the others together"), control + best, 1 - control - best, "variant-2"))
    return parts
