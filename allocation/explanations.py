"""The status sentence that a page shows of an experiment: a decision in plain words."""

from collections.abc import Iterable, Sequence

from django.utils.translation import gettext as _

from allocation.engine import Decision
from allocation.engine.evidence.dispersion import comparisons
from allocation.engine.evidence.values import LARGEST_PART
from allocation.engine.state import DECIDED_BELOW
from allocation.ledger.inputs import AllocationInputs
from experiments.text import format_number, format_percent

_MUCH_DISPERSION, _ENOUGH_COMPARISONS = 1.5, 30


def large_orders(decision: Decision, names: Sequence[str]) -> list[str]:
    """Name the variants with enough data of whose value one order may make more than a tenth."""
    return [
        name
        for name, part, is_low in zip(names, decision.largest_part, decision.low_evidence, strict=True)
        if part > LARGEST_PART and not is_low
    ]


def is_dispersed(decision: Decision) -> bool:
    """True where counts vary so much more than chance, on comparisons enough, that it deserves a sentence."""
    window = decision.window
    if decision.dispersion <= _MUCH_DISPERSION or not window.days.size:
        return False
    return float(comparisons(window.trials[None], window.successes[None])[0]) >= _ENOUGH_COMPARISONS


def standing_apart(variants: Iterable[tuple[str, float, float | None]]) -> list[str]:
    """Name the active variants that day effects leave nothing to compare of: never shown on the others' days.

    ``variants``: name, successes and evidence kept of each.
    """
    return [name for name, successes, kept in variants if successes > 0 and kept is not None and kept <= 0]


def apart_in(decision: Decision, inputs: AllocationInputs) -> list[str]:
    """Name the variants that stand apart in a decision; retired ones are compared no more."""
    names = (variant.name for variant in inputs.variants)
    rows = zip(names, decision.successes.tolist(), decision.evidence_kept.tolist(), strict=True)
    return standing_apart(row for row, is_active in zip(rows, decision.active, strict=True) if is_active)


def decision_sentence(
    decision: Decision, inputs: AllocationInputs, state: str, *, mismatch: bool = False
) -> str:
    """Describe the experiment as of a decision. ``mismatch``: traffic does not arrive as it is split."""
    active = [variant for variant in inputs.variants if variant.is_active]
    is_low = decision.low_evidence & decision.active
    low = [v.name for v, lacks in zip(inputs.variants, is_low, strict=True) if lacks]
    sentence = status_sentence(
        state=state,
        leader=inputs.variants[decision.lead].name,
        chance=float(decision.probability_best[decision.lead]),
        value_remaining=decision.value_remaining,
        active=len(active),
        reporting=decision.reporting,
        has_successes=bool(decision.successes[decision.active].any()),
        low=low,
        apart=apart_in(decision, inputs),
        large=large_orders(decision, [variant.name for variant in inputs.variants]),
    )
    if not mismatch:
        return sentence
    doubt = _("Traffic does not match the allocation (SRM): do not trust these numbers yet.")
    return f"{doubt} {sentence}"


def status_sentence(
    *,
    state: str,
    leader: str,
    chance: float,
    value_remaining: float,
    active: int,
    reporting: int,
    has_successes: bool = True,
    low: Sequence[str] = (),
    apart: Sequence[str] = (),
    large: Sequence[str] = (),
) -> str:
    """Describe the experiment to a reader who has not seen the numbers.

    ``reporting``: variants with data in the window. ``low``: names of those with too little data to be judged.
    ``apart``: names of those that were never shown on the same day as the others.
    ``large``: names of those whose value may be, for a large part, that of one order.
    """
    if apart and len(apart) >= active - 1:
        return _(
            "These variants were never shown on the same day: they cannot be compared with day adjustment on."
        )
    sentence = _of_state(
        state,
        leader,
        chance,
        value_remaining,
        active=active,
        reporting=reporting,
        low=len(low),
        has_successes=has_successes,
    )
    parts = [sentence, *([never_beside(apart)] if apart else [])]
    if state == "collecting" or active < 2:
        return " ".join(parts)
    lacking = [name for name in low if name not in apart]
    if lacking and len(low) < active:
        parts.append(_lacking(lacking))
    return " ".join([*parts, *([weighty_orders(large)] if large else [])])


def never_beside(apart: Sequence[str]) -> str:
    """Say which variants cannot be compared with the others."""
    return _("Never shown on the same day as the others, and not to be compared with them: %(variants)s.") % {
        "variants": ", ".join(apart)
    }


def weighty_orders(large: Sequence[str]) -> str:
    """Say that one order may decide; single ones are not stored, so that it cannot be said which."""
    values = {"variant": large[0], "count": len(large), "part": format_percent(LARGEST_PART, 0)}
    if len(large) == 1:
        said = _("One order may make more than %(part)s of %(variant)s's value.") % values
    else:
        said = _("One order may make more than %(part)s of the value of %(count)s variants each.") % values
    return f"{said} " + _("This bound is loose below about 100 orders of very different value.")


def _lacking(low: Sequence[str]) -> str:
    if len(low) == 1:
        return _("%(variant)s does not have enough data yet.") % {"variant": low[0]}
    return _("%(count)s variants do not have enough data yet.") % {"count": len(low)}


def _of_state(
    state: str,
    leader: str,
    chance: float,
    value_remaining: float,
    *,
    active: int,
    reporting: int,
    low: int,
    has_successes: bool,
) -> str:
    values = {"leader": leader, "chance": _percent(chance)}
    if active < 2:
        return _("Only one active variant (%(leader)s). Add a second one to run a test.") % values
    if state == "collecting" and reporting < 2:
        return _("Waiting for data from at least two variants. Until then traffic is split evenly.")
    if state == "collecting":
        return _("Warming up: not enough data yet. Traffic is split evenly until then.")
    if low >= active:
        return _("No variant has enough data yet.")
    if not has_successes:
        return _("No variant has a success yet; there is nothing to compare.")
    if state == "decided":
        return best_choice(leader, value_remaining)
    values["gain"] = _gain(value_remaining)
    if state == "leader":
        return _("%(leader)s leads: %(chance)s probability to be best. %(gain)s.") % values
    if is_level(chance, active, low):
        return _("No clear winner yet. All variants are level. %(gain)s.") % values
    return (
        _("No clear winner yet. %(leader)s is ahead (%(chance)s probability to be best). %(gain)s.") % values
    )


def best_choice(leader: str, value_remaining: float) -> str:
    """Say why there is nothing left to wait for, however likely the leader is to be the best."""
    said = _(
        "%(leader)s is the best choice: with 95%% probability no other variant is more than "
        "%(remaining)s better."
    )
    return said % {"leader": leader, "remaining": _percent(value_remaining)}


def is_level(chance: float, active: int, low: int) -> bool:
    """Tell if the leader's chance to be best is, as it is written, that of variants which are all alike.

    ``low``: how many of the active ones cannot be judged yet. Theirs may be higher, which the leader's does not say.
    """
    return not low and round(chance, 3) <= round(1 / active, 3)


def _gain(remaining: float) -> str:
    if remaining < DECIDED_BELOW:
        return _("More data would change little")
    if remaining > 10:
        return _("Too early to tell: another variant could still be several times better")
    if remaining > 1:
        times = format_number(1 + remaining, 1)
        return _("Too early to tell: another variant could still be up to %(times)s times as good") % {
            "times": times
        }
    return _("Another variant could still be up to %(gain)s better") % {"gain": _percent(remaining)}


def _percent(fraction: float) -> str:
    """Format a fraction with one decimal; one that is not certain is never 0% or 100%."""
    return format_percent(min(max(fraction, 0.001), 0.999))
