"""Where does the experiment stand, in one word?

``collecting``: too little data to optimize. ``optimizing``: traffic follows the evidence. ``leader``: one variant
is the best with a chance of 95% or more. ``decided``: two weeks of data, and with 95% probability less than 1% is
left to gain by going on. A single active variant is the best for certain: ``leader``, and in two weeks ``decided``.
"""

from typing import Literal

from allocation.engine.decision import Decision

State = Literal["collecting", "optimizing", "leader", "decided"]

LEADER_PROBABILITY = 0.95
# Two whole weeks, so that every weekday has been seen twice, and less than 1% left to gain.
DECIDED_AFTER_DAYS = 14
DECIDED_BELOW = 0.01


def state_of(decision: Decision, days_with_data: int) -> State:
    """``days_with_data``: distinct days with impressions since the experiment's start."""
    if decision.warm_up:
        return "collecting"
    if days_with_data >= DECIDED_AFTER_DAYS and decision.value_remaining < DECIDED_BELOW:
        return "decided"
    if decision.probability_best[decision.lead] >= LEADER_PROBABILITY:
        return "leader"
    return "optimizing"
