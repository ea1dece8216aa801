"""The metrics beside the goal, and their guards, as a table to read."""

from dataclasses import dataclass
from decimal import Decimal

from django.utils.translation import gettext as _

from allocation.statistics.experiment import Statistics
from allocation.statistics.variants import VariantRate
from dashboard.charts import variant_colours
from experiments.campaign.models import Guard, GuardAction
from experiments.metrics import Reward
from experiments.models import Experiment, Variant
from experiments.text import format_exact

Row = tuple[Variant, str, VariantRate]


@dataclass(frozen=True)
class OtherMetric:
    """One metric: each variant with its colour and numbers; ``guard`` says what is guarded, if anything.

    Templates write its rates as those of an experiment with this ``goal`` and ``currency``.
    """

    goal: Reward
    currency: str
    guard: str
    rows: list[Row]


def other_metrics(experiment: Experiment, statistics: Statistics | None) -> list[OtherMetric]:
    """List what the statistics have beside the goal; at most one query."""
    variants = {variant.key: variant for variant in experiment.variants.all()}
    colours = variant_colours(variants.values())
    guarded = getattr(experiment, "has_guards", True)
    guards = {guard.metric: guard for guard in experiment.guards.all()} if guarded else {}
    return [
        OtherMetric(
            found.metric,
            experiment.currency,
            _guard_text(guards.get(found.metric.value)),
            [
                (variants[row.variant_key], colours[variants[row.variant_key].pk], row)
                for row in found.variants
            ],
        )
        for found in (statistics.secondary if statistics else [])
    ]


def _guard_text(guard: Guard | None) -> str:
    if guard is None:
        return ""
    fall = f"{format_exact(Decimal(str(guard.max_fall)))}%"
    if guard.action == GuardAction.ACT:
        return _("Guard: at most %(fall)s below the control, else the control gets all traffic") % {
            "fall": fall
        }
    return _("Guard: at most %(fall)s below the control, else a notification") % {"fall": fall}
