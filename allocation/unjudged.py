"""Variants without enough data, in words: what they lack, and where one of them may well be the best."""

import math
from collections.abc import Iterable, Mapping, Sequence

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from allocation.engine import Decision
from allocation.engine.evidence.values import ENOUGH_ORDERS
from allocation.engine.state import EXCLUDED_BELOW
from allocation.models import AllocationShare
from experiments.text import format_number


def rivals_in(decision: Decision, names: Sequence[str]) -> list[str]:
    """Name the active variants without enough data that are, together, likelier to hold the best than the leader."""
    low = decision.low_evidence & decision.active & (decision.probability_best >= EXCLUDED_BELOW)
    is_judged = not decision.low_evidence[decision.lead]
    top = float(decision.probability_best[decision.lead])
    has_rivals = is_judged and are_likelier(decision.probability_best[low].tolist(), top)
    return [name for name, is_rival in zip(names, low, strict=True) if is_rival] if has_rivals else []


def rivals_of(shares: Iterable[AllocationShare]) -> list[AllocationShare]:
    """Find the rivals, by ``rivals_in``, in what a decision recorded of its variants."""
    compared = [(share.probability_best, share) for share in shares if share.probability_best is not None]
    judged = [chance for chance, share in compared if not share.missing_trials]
    low = [(chance, one) for chance, one in compared if one.missing_trials and chance >= EXCLUDED_BELOW]
    has_rivals = judged and are_likelier([chance for chance, _share in low], max(judged))
    return [share for _chance, share in low] if has_rivals else []


def are_likelier(rivals: Iterable[float], top: float) -> bool:
    """Tell if variants without enough data are, together, likelier to hold the best than the leader.

    Then the leader is but the first of those that can be judged: to call it ahead of all would be wrong.
    """
    return sum(rivals) > top


def missing_orders(decision: Decision, names: Sequence[str]) -> dict[str, int]:
    """Count the orders, about, that each variant with too few of them lacks to be judged: where the goal is a value."""
    rows = zip(names, decision.effective_orders.tolist(), decision.low_evidence, strict=True)
    return {name: orders_short(found) for name, found, is_low in rows if is_low and orders_short(found)}


def orders_short(effective: float | None) -> int:
    """Count the orders, about, by which a variant falls short of those that show how much values vary.

    ``effective``: infinite or None where counts are the goal.
    """
    return 0 if effective is None or effective >= ENOUGH_ORDERS else math.ceil(ENOUGH_ORDERS - effective)


def among_judged(leader: str, rivals: Sequence[str], judged: int) -> str:
    """Say whom the leader is ahead of, and who may be better; its chance alone would be taken for nonsense.

    ``judged``: how many active variants have enough data.
    """
    if len(rivals) == 1:
        said = (
            _("No clear winner yet. Only %(leader)s has enough data; %(rival)s may be better.")
            if judged == 1
            else _(
                "No clear winner yet. %(leader)s is ahead of those with enough data; %(rival)s may be better, "
                "but does not have enough yet."
            )
        )
    else:
        said = (
            _("No clear winner yet. Only %(leader)s has enough data; %(count)s others may be better.")
            if judged == 1
            else _(
                "No clear winner yet. %(leader)s is ahead of those with enough data; %(count)s others may be "
                "better, but do not have enough yet."
            )
        )
    return said % {"leader": leader, "rival": rivals[0], "count": len(rivals)}


def unjudged(rivals: Sequence[str]) -> str:
    """Say of an ended experiment that the best one may be among those that could not be judged."""
    if len(rivals) == 1:
        return _("%(variant)s may have been better, but did not have enough data.") % {"variant": rivals[0]}
    values = {"count": len(rivals)}
    return _("%(count)s others may have been better, but did not have enough data.") % values


def untold(
    low: Sequence[str], apart: Sequence[str], rivals: Sequence[str], orders: Mapping[str, int]
) -> list[str]:
    """Name those without enough data of which no other sentence says so, or what they lack."""
    return [name for name in low if name not in apart and (name not in rivals or name in orders)]


def lacking_data(low: Sequence[str], orders: Mapping[str, int]) -> str:
    """Say that these variants cannot be judged yet, and where it is known in which way. ``orders``: those missing."""
    if len(low) > 1:
        return _several_lack(low, orders)
    if low[0] not in orders:
        return _("%(variant)s does not have enough data yet.") % {"variant": low[0]}
    missing = orders[low[0]]
    said = ngettext(
        "%(variant)s does not have enough data yet: about %(orders)s more order is needed to judge it.",
        "%(variant)s does not have enough data yet: about %(orders)s more orders are needed to judge it.",
        missing,
    )
    return said % {"variant": low[0], "orders": format_number(missing, 0)}


def _several_lack(low: Sequence[str], orders: Mapping[str, int]) -> str:
    """Count the variants, and the most orders that one of them lacks: one whose orders vary much has many already."""
    values: dict[str, object] = {"count": len(low)}
    if not all(name in orders for name in low):
        return _("%(count)s variants do not have enough data yet.") % values
    missing = max(orders[name] for name in low)
    said = ngettext(
        "%(count)s variants do not have enough data yet: each needs at most about %(orders)s more order.",
        "%(count)s variants do not have enough data yet: each needs at most about %(orders)s more orders.",
        missing,
    )
    return said % (values | {"orders": format_number(missing, 0)})
