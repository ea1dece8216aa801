"""Days of a variant and the control side by side, on which every bet on the ratio of their rates rests.

Shapes: trials and successes (T, K), all days since the start, oldest first.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.probability_best import Bools

# Of ln f', on which the bets are spread, and the size at which a bet is won: 20, for a chance of 5%.
SPREAD = 0.2
PRECISION = 1 / SPREAD**2
LEVEL = np.log(20.0)
# Days by days by nodes in one temporary array: about what a core's own cache holds.
_CHUNK_FLOATS = 1 << 16


class Pair(NamedTuple):
    """Days on which both have trials, (T,): successes of the variant and of both, log of the trials' ratio."""

    own: Floats
    both: Floats
    log_odds: Floats


def pair_of(trials: Floats, successes: Floats, variant: int, control: int, phi: float) -> Pair:
    """A day on which either has no trials tells nothing of their ratio."""
    days = (trials[:, variant] > 0) & (trials[:, control] > 0)
    own, others = successes[days, variant] / phi, successes[days, control] / phi
    log_odds = np.log(trials[days, variant]) - np.log(trials[days, control])
    return Pair(own, own + others, log_odds)


def side_by_side(of: Sequence[Floats], seen: Bools, otherwise: float = 0.0) -> Floats:
    """(V, T): the numbers of each variant on its own days, where it is ``seen``, and a filler on the others' days."""
    found = np.full(seen.shape, otherwise)
    found[seen] = np.concatenate(of)
    return found


def by_chunks(answer: Callable[[NDArray[np.intp]], Floats], days: NDArray[np.intp], nodes: int) -> Floats:
    size = max(1, _CHUNK_FLOATS // ((int(days.max(initial=0)) + 1) * nodes))
    chunks = [days[start : start + size] for start in range(0, len(days), size)]
    return np.concatenate([answer(chunk) for chunk in chunks] or [np.zeros(0)])


def known_on(pair: Pair, days: NDArray[np.intp]) -> tuple[Floats, Floats, Floats]:
    """Return what was known at the end of each day: successes of both (D, T), the variant's (D, 1), log-odds (T,)."""
    until = int(days[-1]) + 1
    both = pair.both[:until] * (np.arange(until) <= days[:, None])
    return both, np.cumsum(pair.own)[days][:, None], pair.log_odds[:until]


def logistic(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))
