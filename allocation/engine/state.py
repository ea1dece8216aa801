"""Where does the experiment stand, in one word?

``collecting``: too little data to optimize. ``optimizing``: traffic follows the evidence. ``leader``: one variant
is the best with a chance of 95% or more. ``decided``: two weeks of data, and with 95% probability less than 1% is
left to gain by going on. A single active variant is the best for certain: ``leader``, and in two weeks ``decided``.

Nothing is found while a variant that may still be the best (a chance of 0.1% or more) has too little data to be judged,
and nothing is decided before each such variant has two weeks of data, or while visitors arrive otherwise than shared
or a guard warns.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from allocation.engine.batch import FIRST_ENGINE
from allocation.engine.posterior.probability_best import Bools
from allocation.engine.requests import Decision

State = Literal["collecting", "optimizing", "leader", "decided"]

LEADER_PROBABILITY = 0.95
# Two whole weeks, so that every weekday has been seen twice, and less than 1% left to gain.
DECIDED_AFTER_DAYS = 14
DECIDED_BELOW = 0.01
# A variant that is so unlikely to be the best keeps nobody waiting.
EXCLUDED_BELOW = 0.001


def state_of(
    decision: Decision, days_with_data: ArrayLike, *, mismatch: bool = False, warned: bool = False
) -> State:
    """``days_with_data``: distinct days with impressions since the start, of each variant (K,) or of all.

    ``mismatch``: the sample-ratio alarm is on. ``warned``: a variant harms a guarded metric.
    """
    if decision.warm_up:
        return "collecting"
    if decision.engine_version != FIRST_ENGINE and _possible(decision)[decision.low_evidence].any():
        return "optimizing"
    if decision.value_remaining < DECIDED_BELOW and _may_decide(decision, days_with_data, mismatch or warned):
        return "decided"
    if decision.probability_best[decision.lead] >= LEADER_PROBABILITY:
        return "leader"
    return "optimizing"


def _possible(decision: Decision) -> Bools:
    return np.asarray(decision.probability_best >= EXCLUDED_BELOW)


def _may_decide(decision: Decision, days_with_data: ArrayLike, doubtful: bool) -> bool:
    days = np.broadcast_to(np.asarray(days_with_data), decision.shares.shape)
    if decision.engine_version == FIRST_ENGINE:
        return bool(days.max() >= DECIDED_AFTER_DAYS)
    return not doubtful and bool((days[_possible(decision)] >= DECIDED_AFTER_DAYS).all())
