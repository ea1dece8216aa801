"""Where does the experiment stand, in one word and in one plain sentence?

``collecting``: too little data to optimize. ``optimizing``: traffic follows the evidence. ``leader``: one variant
is the best with a chance of 95% or more. ``decided``: two weeks of data, and with 95% probability less than 1% is
left to gain by going on. A single active variant is the best for certain: ``leader``, and in two weeks ``decided``.
"""

from collections.abc import Sequence
from typing import Literal

from allocation.engine.decision import Allocation

State = Literal["collecting", "optimizing", "leader", "decided"]

LEADER_PROBABILITY = 0.95
# Two whole weeks, so that every weekday has been seen twice, and less than 1% left to gain.
DECIDED_AFTER_DAYS = 14
DECIDED_BELOW = 0.01


def state_of(allocation: Allocation, days_with_data: int) -> State:
    """``days_with_data``: distinct days with impressions since the experiment's start."""
    if allocation.warm_up:
        return "collecting"
    if days_with_data >= DECIDED_AFTER_DAYS and allocation.value_remaining < DECIDED_BELOW:
        return "decided"
    if allocation.probability_best[allocation.lead] >= LEADER_PROBABILITY:
        return "leader"
    return "optimizing"


def sentence(state: State, allocation: Allocation, names: Sequence[str]) -> str:
    """What the numbers say, for someone who has not seen them; ``names`` of the K variants."""
    name, k = names[allocation.lead], len([p for p in allocation.target if p > 0])
    chance, remaining = _percent(allocation.probability_best[allocation.lead]), allocation.value_remaining
    if k < 2:
        return f"{name} is the only active variant and gets all traffic."
    if state == "collecting" and allocation.reporting < 2:
        return "Waiting for data from at least two variants; until then traffic moves toward an even split."
    if state == "collecting":
        return "Not enough data to optimize yet: traffic is split evenly, as far as the limits allow."
    if state == "decided":
        return (
            f"{name} can be chosen: with 95% probability no variant is more than "
            f"{_percent(remaining)} better."
        )
    if state == "leader":
        return f"{name} leads with a {chance} chance of being the best; {_gain(remaining)}."
    return f"No clear winner yet: {name} is in front with a {chance} chance of being the best; {_gain(remaining)}."


def _gain(remaining: float) -> str:
    if remaining < DECIDED_BELOW:
        return "little is left to gain from more data"
    if remaining > 10:
        return "another variant may still be many times as good"
    if remaining > 1:
        return f"another variant may still be up to {1 + remaining:.1f} times as good"
    return f"another variant may still be up to {_percent(remaining)} better"


def _percent(fraction: float) -> str:
    """With one decimal, and never 0% or 100% for what is not certain."""
    return f"{min(max(100 * fraction, 0.1), 99.9):.1f}%" if fraction <= 1 else f"{100 * fraction:,.0f}%"
