"""The status sentence that a page shows of an experiment: a decision in plain words."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from django.utils.translation import gettext as _

from allocation.engine import Decision
from allocation.engine.evidence.dispersion import comparisons
from allocation.engine.evidence.values import LARGEST_PART
from allocation.engine.posterior.probability_best import Bools
from allocation.engine.state import DECIDED_BELOW, LEADER_PROBABILITY
from allocation.ledger.inputs import AllocationInputs
from allocation.unjudged import among_judged, lacking_data, missing_orders, rivals_in, unjudged, untold
from experiments.text import Text, format_chance, format_number, format_percent

# The least of an improvement that one decimal shows.
_SMALLEST_SHOWN = 0.001
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
    decision: Decision, inputs: AllocationInputs, state: str, *, mismatch: bool = False, warned: bool = False
) -> str:
    """Describe the experiment as of a decision, in words that its page uses, too.

    ``mismatch``: traffic does not arrive as it is split. ``warned``: a variant harms a guarded metric.
    """
    if inputs.completed:
        return _ended_sentence(decision, inputs, state, mismatch=mismatch, warned=warned)
    names = [variant.name for variant in inputs.variants]
    return status_sentence(
        state=state,
        leader=names[decision.lead],
        chance=float(decision.probability_best[decision.lead]),
        value_remaining=decision.value_remaining,
        active=int(decision.active.sum()),
        reporting=decision.reporting,
        has_successes=bool(decision.successes[decision.active].any()),
        low=_at(names, decision.low_evidence & decision.active),
        apart=apart_in(decision, inputs),
        large=large_orders(decision, names),
        level=_at(names, level_with_leader(decision)),
        rivals=rivals_in(decision, names),
        orders=missing_orders(decision, names),
        mismatch=mismatch,
        warned=warned,
    )


def _at(names: Sequence[str], places: Iterable[bool]) -> list[str]:
    return [name for name, is_there in zip(names, places, strict=True) if is_there]


def level_with_leader(decision: Decision) -> Bools:
    """Find the judged variants whose chance to be the best is written as the leader's, itself among them."""
    judged = decision.active & ~decision.low_evidence
    top = round(float(decision.probability_best[decision.lead]), 3)
    return np.asarray(judged & (decision.probability_best.round(3) == top))


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
    level: Sequence[str] = (),
    rivals: Sequence[str] = (),
    orders: Mapping[str, int] | None = None,
    mismatch: bool = False,
    warned: bool = False,
) -> str:
    """Describe the experiment to a reader who has not seen the numbers. Beside a doubt nothing is said of a leader.

    ``reporting``: variants with data in the window. ``low``: names of those with too little data to be judged.
    ``apart``: names of those that were never shown on the same day as the others.
    ``large``: names of those whose value may be, for a large part, that of one order.
    ``level``: names of those that are as likely to be the best as the leader. ``rivals``: by ``rivals_in``.
    ``orders``: by ``missing_orders``.
    """
    if active > 1 and (doubt := _doubt(active, apart, mismatch=mismatch, warned=warned)):
        return doubt
    sentence = _of_state(
        state,
        leader,
        chance,
        value_remaining,
        active=active,
        reporting=reporting,
        low=len(low),
        has_successes=has_successes,
        level=level,
        rivals=rivals,
    )
    parts = [sentence, *([never_beside(apart)] if apart else [])]
    if state == "collecting" or active < 2:
        return " ".join(parts)
    lacking = untold(low, apart, rivals, orders or {})
    if lacking and len(low) < active:
        parts.append(lacking_data(lacking, orders or {}))
    return " ".join([*parts, *([weighty_orders(large)] if large else [])])


def _doubt(active: int, apart: Sequence[str], *, mismatch: bool, warned: bool) -> str:
    if mismatch:
        return _("Traffic does not match the allocation (SRM): do not trust these numbers yet.")
    if warned:
        return _("A guard warns. Nothing counts as decided while this holds.")
    if apart and len(apart) >= active - 1:
        return _(
            "These variants were never shown on the same day: they cannot be compared with day adjustment on."
        )
    return ""


def _ended_sentence(
    decision: Decision, inputs: AllocationInputs, state: str, *, mismatch: bool, warned: bool
) -> str:
    """Say who gets all traffic, and whether the data had decided for it."""
    place = inputs.variants.index(inputs.final)
    values = {"winner": inputs.final.name}
    if mismatch:
        said = _("Ended: %(winner)s gets all traffic. Traffic did not match the allocation (SRM).")
        return said % values
    if warned:
        return _("Ended: %(winner)s gets all traffic. A guard warned when it ended.") % values
    is_compared = not decision.warm_up and int(decision.active.sum()) > 1 and decision.successes.any()
    if not is_compared or decision.low_evidence[place]:
        return _("Ended: %(winner)s gets all traffic.") % values
    rivals = rivals_in(decision, [variant.name for variant in inputs.variants])
    may_be_better = [unjudged(rivals)] if rivals else []
    if may_be_better and place == decision.lead:
        return " ".join([_("Ended: %(winner)s gets all traffic.") % values, *may_be_better])
    chances = decision.probability_best
    values["chosen"] = chosen_words(
        float(chances[place]), inputs.variants[decision.lead].name, float(chances[decision.lead])
    )
    if has_won(state, place == decision.lead, float(chances[place])):
        return _("Ended: %(winner)s won, with %(chosen)s.") % values
    return " ".join([_("Ended: %(winner)s was chosen, with %(chosen)s.") % values, *may_be_better])


def has_won(state: str, is_leader: bool, chance: float) -> bool:
    """Tell if the data had decided for the variant that got all traffic: it was ready to decide, and led for certain.

    Ready to decide alone says that little is left to gain, but not that one leads.
    """
    return state == "decided" and is_leader and chance >= LEADER_PROBABILITY


def chosen_words(chance: float, leader: str, top: float) -> str:
    """Say how likely the variant that got all traffic is the best, and name who was more likely to be."""
    values = {"chance": format_chance(chance), "leader": leader, "top": format_chance(top)}
    if values["chance"] == values["top"]:
        return _("%(chance)s probability to be best") % values
    return _("%(chance)s probability to be best; %(leader)s was more likely, %(top)s") % values


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


def no_lift(unit: Text) -> str:
    """Say why nothing is compared with a control that has enough data. ``unit``: of successes."""
    return _("The control has no %(unit)s: there is no lift to show.") % {"unit": unit}


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
    level: Sequence[str],
    rivals: Sequence[str],
) -> str:
    values = {"leader": leader, "chance": format_chance(chance)}
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
        return (
            equally_good(level, value_remaining) if len(level) > 1 else best_choice(leader, value_remaining)
        )
    values["gain"] = potential(value_remaining)
    if state == "leader":
        said = _("%(leader)s leads: %(chance)s probability to be best. %(gain)s.") % values
        return f"{said} {keep_running()}"
    said = open_words(
        leader, chance, level, rivals, is_level=is_level(chance, active, low), judged=active - low
    )
    return f"{said} {values['gain']}."


def open_words(
    leader: str, chance: float, level: Sequence[str], rivals: Sequence[str], *, is_level: bool, judged: int
) -> str:
    """Say who is ahead while nothing is decided; nobody where several are, or where others may well be better.

    ``judged``: how many active variants have enough data.
    """
    if is_level:
        return _("No clear winner yet. All variants are level.")
    if rivals:
        return among_judged(leader, rivals, judged)
    if len(level) > 1:
        return _equally_likely(level, chance)
    values = {"leader": leader, "chance": format_chance(chance)}
    return _("No clear winner yet. %(leader)s is ahead (%(chance)s probability to be best).") % values


def _equally_likely(level: Sequence[str], chance: float) -> str:
    values = {"first": level[0], "second": level[1], "count": len(level), "chance": format_chance(chance)}
    if len(level) == 2:
        return (
            _(
                "No clear winner yet. %(first)s and %(second)s are equally likely to be the best "
                "(%(chance)s each)."
            )
            % values
        )
    return (
        _("No clear winner yet. %(count)s variants are equally likely to be the best (%(chance)s each).")
        % values
    )


def best_choice(leader: str, value_remaining: float) -> str:
    """Say why there is nothing left to wait for, however likely the leader is to be the best."""
    said = _(
        "%(leader)s is the best choice: with 95%% probability no other variant is more than "
        "%(remaining)s better."
    )
    return said % {"leader": leader, "remaining": _least_shown(value_remaining)}


def equally_good(level: Sequence[str], value_remaining: float) -> str:
    """Say that of these variants none leads, and that there is nothing left to wait for."""
    values = {
        "first": level[0],
        "second": level[1],
        "count": len(level),
        "remaining": _least_shown(value_remaining),
    }
    if len(level) == 2:
        said = _(
            "%(first)s and %(second)s are equally good, and either can be chosen: with 95%% probability "
            "no other variant is more than %(remaining)s better."
        )
    else:
        said = _(
            "%(count)s variants are equally good, and any of them can be chosen: with 95%% probability "
            "no other variant is more than %(remaining)s better."
        )
    return said % values


def is_level(chance: float, active: int, low: int) -> bool:
    """Tell if the leader's chance to be best is, as it is written, that of variants which are all alike.

    ``low``: how many of the active ones cannot be judged yet. Theirs may be higher, which the leader's does not say.
    """
    return not low and round(chance, 3) <= round(1 / active, 3)


def keep_running() -> str:
    return _("Keep running to measure the lift more precisely.")


def potential(remaining: float) -> str:
    """Say how much another variant could still be better."""
    if remaining < _SMALLEST_SHOWN:
        shown = format_percent(_SMALLEST_SHOWN)
        return _("Another variant would gain less than %(remaining)s") % {"remaining": shown}
    if remaining < DECIDED_BELOW:
        return _("Another variant would gain at most %(remaining)s") % {
            "remaining": format_percent(remaining)
        }
    if remaining > 10:
        return _("Too early to tell: another variant could still be several times better")
    if remaining > 1:
        times = format_number(1 + remaining, 1)
        return _("Too early to tell: another variant could still be up to %(times)s times as good") % {
            "times": times
        }
    return _("Another variant could still be up to %(gain)s better") % {"gain": format_percent(remaining)}


def _least_shown(remaining: float) -> str:
    """Write what is left to gain with one decimal, never as nothing."""
    return format_percent(max(remaining, _SMALLEST_SHOWN))
