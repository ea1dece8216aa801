"""A decision in one line of plain words."""

from collections.abc import Sequence

from allocation.engine import Allocation, Settings

_EVEN = "traffic moves toward an even split."


def reason_for(
    allocation: Allocation, names: Sequence[str], active: Sequence[bool], settings: Settings
) -> str:
    """What decided the split, and whether a limit had to give way."""
    if sum(active) == 1:
        return "There is one active variant; it gets all traffic."
    text = _warm_up(allocation, settings) if allocation.warm_up else _optimized(allocation, names)
    if allocation.cap > settings.max_daily_shift + 1e-9:
        text += f" The floors did not fit within the daily cap, which was widened to {allocation.cap:.4f}."
    return text


def _warm_up(allocation: Allocation, settings: Settings) -> str:
    seen = int(allocation.window.impressions_so_far)
    if seen < settings.min_impressions:
        return f"Warm-up: {seen:,} of {settings.min_impressions:,} impressions so far; {_EVEN}"
    return f"Warm-up: fewer than two variants have data in the window; {_EVEN}"


def _optimized(allocation: Allocation, names: Sequence[str]) -> str:
    lead = allocation.lead
    name, bound = names[lead], allocation.bound[lead]
    if bound == "low_evidence":
        return f"{name} has too little data to be judged; until it has more it gets an even share at most."
    chance = _percent(float(allocation.probability_best[lead]))
    return f"{name} leads: {chance} likely to be the best.{_LIMITS.get(bound, '')}"


_LIMITS = {
    "cap_up": " The daily cap limits how fast its share grows.",
    "cap_down": " The daily cap limits how fast its share moves.",
    "control_floor": " The control floor holds its share.",
    "exploration_floor": " The exploration floor holds its share.",
}


def _percent(chance: float) -> str:
    """Never 100% for what is not certain."""
    if chance > 0.999:
        return "more than 99.9%"
    return f"{chance:.1%}"
