"""Sentences that several verdicts have: the lift, the chance of the leader, what is to be said beside them."""

from collections.abc import Sequence
from decimal import Decimal

from django.utils.translation import gettext as _

from allocation.explanations import apart_in, large_orders, never_beside, no_lift, potential, weighty_orders
from allocation.statistics.results import RankedVariant, Results
from allocation.unjudged import lacking_data, missing_orders, untold
from dashboard.experiment.results.other_metrics import interval_words
from dashboard.formatting import format_lift
from dashboard.templatetags.formats import chance
from experiments.metrics import Reward
from experiments.text import format_exact


def lift_lines(row: RankedVariant, results: Results) -> list[str]:
    lift = lift_words(row, results)
    if lift is None:
        return []
    line = _("%(metric)s %(lift)s vs control (95%% interval %(low)s to %(high)s).") % lift
    return [line[:1].upper() + line[1:]]


def lift_words(row: RankedVariant | None, results: Results) -> dict[str, str] | None:
    """Name the goal and write the lift; None for the control, and where nothing can be compared with it."""
    statistics = results.analysis.statistics
    if row is None or not statistics.has_lifts or not row.statistics.enough_data:
        return None
    found = row.statistics
    if found.uplift is None or found.uplift_low is None or found.uplift_high is None:
        return None
    label = str(results.analysis.inputs.reward.label)
    return {
        "metric": label[:1].lower() + label[1:],
        "lift": format_lift(found.uplift),
        **interval_words(found.uplift_low, found.uplift_high),
    }


def certainty(results: Results, leader: RankedVariant) -> str:
    active = sum(v.is_active for v in results.analysis.statistics.variants)
    said = _("%(chance)s probability to be best of %(count)s. %(potential)s.")
    return said % {
        "chance": chance(leader.statistics.probability_best),
        "count": active,
        "potential": potential(results.analysis.statistics.value_remaining),
    }


def harm_lines(results: Results) -> list[str]:
    names = {v.variant_key: v.variant_name for v in results.analysis.statistics.variants}
    said = _("%(metric)s: %(variant)s is more than %(fall)s below the control.")
    return [
        said
        % {
            "metric": Reward(harm.metric).label,
            "variant": names.get(harm.variant, harm.variant),
            "fall": f"{format_exact(Decimal(str(harm.max_fall)))}%",
        }
        for harm in results.harms
    ]


def caveats(results: Results) -> list[str]:
    """Say what cannot be compared, what lacks data, and whose value may be that of one order."""
    decision, inputs = results.analysis.decision, results.analysis.inputs
    apart, large = apart_in(decision, inputs), large_orders(decision, [v.name for v in inputs.variants])
    return [
        *no_lift_lines(results),
        *([never_beside(apart)] if apart else []),
        *_low_lines(results, apart),
        *([weighty_orders(large)] if large else []),
    ]


def no_lift_lines(results: Results) -> list[str]:
    unit = results.analysis.inputs.reward.successes_count.unit
    return [no_lift(unit)] if results.analysis.statistics.is_control_bare and results.has_successes else []


def _low_lines(results: Results, apart: Sequence[str]) -> list[str]:
    """Say what lacks data, but for what the title says so of."""
    decision = results.analysis.decision
    low = [variant.variant_name for variant in results.low_variants]
    orders = missing_orders(decision, [one.name for one in results.analysis.inputs.variants])
    lacking = untold(low, apart, results.rivals, orders)
    return [lacking_data(lacking, orders)] if lacking else []
