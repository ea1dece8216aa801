"""How much better than the leader may the best variant still be?

With theta_0 the first variant's rate and P(v) = P(theta_j <= (1 + v) theta_0 for all j > 0), the margin v at which P
reaches a level is a quantile of the relative advantage (theta_max - theta_0) / theta_0.

Margins are fractions, 0 to 10^9. Shapes: ``alpha``, ``beta``, ``present`` (N, K), the first column the
leader's. Source: Google Analytics content experiments, after Scott (2010): "value remaining in the
experiment".
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allocation.engine.posterior import advantage, advantage_of_few, earlier_advantage
from allocation.engine.posterior.advantage import Within
from allocation.engine.posterior.beta import PLAIN, Floats, Grid, at, panel_edges
from allocation.engine.posterior.panels import FEW
from allocation.engine.posterior.probability_best import Bools, checked_rows, grids

# A margin is found when its probability is met this closely.
_TOLERANCE = 1e-8
# A step from this close ends within the tolerance: Hermite's error is the product of both errors squared.
_NEAR = 1e-6
_MAX_STEPS = 40
# Most roots are found in 3 steps. What is not found by now may be at an end of the range, where steps hardly lead;
# from the second mark on every other step halves the bracket.
_LOOK_AT_THE_ENDS, _HALVE = 8, 12
# Below this a margin is as good as none, and a bracket that is narrower than this part of itself is a jump of P.
_SMALLEST_LOG = 1e-12
_NARROW = 1e-7
# Tukey's lambda that is closest to the normal distribution: its quantile function is nearly the probit.
_LAMBDA = 0.135
# A leader with next to no successes may be beaten by any factor; margins end at a billion.
_LARGEST_MARGIN = 1e9
_LARGEST_LOG = np.log1p(_LARGEST_MARGIN)
# The probit gains this much where the score gains one, in the middle of the range.
_SPREAD_PER_SCORE = 0.68


class _Point(NamedTuple):
    """Log-factor log(1 + margin), score of its probability there, and the log-factor's slope in the score."""

    x: Floats
    score: Floats
    slope: Floats


class Earlier(NamedTuple):
    """Rows (N,) that are computed again by rules before: ``coarse`` by those before 5, ``unshared`` before 7, too."""

    coarse: Bools
    unshared: Bools

    @classmethod
    def none(cls, size: int) -> "Earlier":
        return cls(np.zeros(size, dtype=bool), np.zeros(size, dtype=bool))

    def rows(self, chosen: NDArray[np.intp]) -> "Earlier":
        return Earlier(self.coarse.take(chosen), self.unshared.take(chosen))


def probability_within(
    alpha: Floats, beta: Floats, present: Bools, margin: Floats, earlier: Earlier | None = None
) -> Floats:
    """P(theta_j <= (1 + margin) * theta_0 for all j > 0), shape (N,): no rival beats the first by more."""
    found = np.zeros(len(alpha))
    for rows, within in _axes(alpha, beta, present, earlier or Earlier.none(len(alpha)), None):
        found[rows] = within(np.arange(len(rows)), np.log1p(margin[rows]))[0]
    return found


def margin_at(
    alpha: Floats,
    beta: Floats,
    present: Bools,
    probability: Floats,
    at_zero: Floats | None = None,
    earlier: Earlier | None = None,
    edges: Floats | None = None,
) -> Floats:
    """The smallest margin >= 0 with probability_within(margin) >= ``probability``; shape (N,).

    ``at_zero``, the probability_best of the first variant, and the panels' ``edges`` (N, K, E) of ordinary rows spare
    their computation where they are known.
    """
    before, answer = earlier or Earlier.none(len(alpha)), np.zeros(len(alpha))
    if at_zero is None:
        at_zero = probability_within(alpha, beta, present, answer, before)
    open_ = (at_zero < probability).nonzero()[0]
    if not open_.size:
        return answer
    a, b, there = alpha[open_], beta[open_], present[open_]
    for some, within in _axes(a, b, there, before.rows(open_), None if edges is None else edges[open_]):
        rows = open_[some]
        guess = _first_guess(
            a[some], b[some], there[some], _score(probability[rows])[0] - _score(at_zero[rows])[0]
        )
        answer[rows] = np.expm1(_root(within, guess, probability[rows], at_zero[rows]))
    return answer


def _axes(
    alpha: Floats, beta: Floats, present: Bools, earlier: Earlier, edges: Floats | None
) -> list[tuple[NDArray[np.intp], Within]]:
    """Rows that are integrated alike, and how."""
    found = []
    for chosen, grid, unshared in _kinds(alpha, beta, present, earlier):
        rows = chosen.nonzero()[0]
        if rows.size:
            own = alpha[rows], beta[rows], present[rows]
            if grid is None:
                within = earlier_advantage.on(*own)
            elif unshared or grid != PLAIN:
                within = advantage.on(*own, grid)
            else:
                known = panel_edges(*own[:2]) if edges is None else edges[rows]
                within = advantage_of_few.on(*own, known)
            found.append((rows, within))
    return found


def _kinds(
    alpha: Floats, beta: Floats, present: Bools, earlier: Earlier
) -> list[tuple[Bools, Grid | None, bool]]:
    """Rows (N,) of a kind, their grid, and whether panels are left out; no grid for those of rules before 5."""
    kinds: list[tuple[Bools, Grid | None]] = [*grids(alpha, beta, present)]
    if np.count_nonzero(earlier.coarse):
        kinds = [*((rows & ~earlier.coarse, grid) for rows, grid in kinds), (earlier.coarse, None)]
    if alpha.shape[1] > FEW:
        return [(rows, grid, True) for rows, grid in kinds]
    if not np.count_nonzero(earlier.unshared):
        return [(rows, grid, False) for rows, grid in kinds]
    parts = (True, earlier.unshared), (False, ~earlier.unshared)
    return [(rows & part, grid, unshared) for rows, grid in kinds for unshared, part in parts]


def value_remaining(
    alpha: ArrayLike,
    beta: ArrayLike,
    present: ArrayLike | None,
    lead: ArrayLike,
    best: ArrayLike | None = None,
    level: float = 0.95,
    earlier: Earlier | None = None,
) -> Floats:
    """How much better than the leader the true best may still be: the ``level`` quantile, shape (...).

    0.01 says that with 95% probability no variant is more than 1% (relative) better than the leader, ``lead``
    (its index, shape (...)). ``best``, the leader's own probability_best, saves time where it is known.
    """
    a, b, exists = checked_rows(alpha, beta, present)
    at_zero = None if best is None else np.asarray(best, dtype=np.float64).reshape(-1)
    found = remaining_of_rows(a, b, exists, np.asarray(lead).reshape(-1), at_zero, earlier, level)
    return found.reshape(np.shape(alpha)[:-1])


def remaining_of_rows(
    alpha: Floats,
    beta: Floats,
    present: Bools,
    lead: NDArray[np.intp],
    best: Floats | None,
    earlier: Earlier | None,
    level: float = 0.95,
    edges: Floats | None = None,
) -> Floats:
    """value_remaining of checked rows (N, K); ``edges`` as in margin_at."""
    rows, order = np.arange(len(alpha))[:, None], _first(lead, alpha.shape[-1])
    a, b, exists = alpha[rows, order], beta[rows, order], present[rows, order]
    own = None if edges is None else edges[rows, order]
    return margin_at(a, b, exists, np.full(len(a), level), best, earlier, own)


def _first(index: NDArray[np.intp], k: int) -> NDArray[np.intp]:
    """For each row the order of 0..k-1 with ``index`` moved to the front."""
    places, first = np.arange(k), index[:, None]
    order = places - (places <= first)
    order[:, :1] = first
    return np.asarray(order)


def _score(probability: Floats) -> tuple[Floats, Floats]:
    """A stand-in for the probit, in which P is nearly straight in log(1 + margin); and its slope in P."""
    p, q = (
        np.minimum(np.maximum(part, least), 1)
        for part, least in ((probability, 1e-60), (1 - probability, 1e-16))
    )
    return (p**_LAMBDA - q**_LAMBDA) / _LAMBDA, p ** (_LAMBDA - 1) + q ** (_LAMBDA - 1)


@np.errstate(over="ignore", invalid="ignore")  # steps that overflow leave the bracket, and are not taken
def _root(within: Within, guess: Floats, goal: Floats, at_zero: Floats) -> Floats:
    """log(1 + margin) where probability_within reaches ``goal``: inverse Hermite steps inside a bracket.

    Where P jumps no step leads to it, and the bracket closes instead; _MAX_STEPS bounds them all.
    """
    low, high = np.zeros(len(goal)), np.full(len(goal), _LARGEST_LOG)
    (wanted, _), (start, _) = _score(goal), _score(at_zero)
    last, last_error = _Point(low, start, np.full(len(goal), np.nan)), np.ones(len(goal))
    x, rows = guess.copy(), np.arange(len(goal))
    for count in range(_MAX_STEPS):
        if count == _LOOK_AT_THE_ENDS and rows.size:
            rows, kept = _between_the_ends(within, goal, x, rows)
            last, last_error = _Point(*(array[kept] for array in last)), last_error[kept]
        if not rows.size:
            break
        place = x[rows]
        probability, rise = within(rows, place)
        score, steepness = _score(probability)
        here, off = _Point(place, score, _over(1.0, steepness * rise)), goal[rows] - probability
        error, under = np.abs(off), off > 0
        least, most = np.where(under, place, low[rows]), np.where(under, high[rows], place)
        low[rows], high[rows] = least, most
        wide = most - least > _NARROW * most
        moving = (error * last_error > _NEAR) & (least < _LARGEST_LOG) & wide
        step = _inside(_hermite(last, here, wanted[rows]), least, most, place)
        if count >= _HALVE and count % 2 == 0:
            middle = np.sqrt(np.maximum(least, _SMALLEST_LOG) * most)
            step = np.where(moving, middle, step)
        x[rows] = np.where(error <= _TOLERANCE, place, step)
        rows, last_error = rows[moving], error[moving]
        last = _Point(*(array[moving] for array in here))
    return x


def _between_the_ends(
    within: Within, goal: Floats, x: Floats, rows: NDArray[np.intp]
) -> tuple[NDArray[np.intp], Bools]:
    """The rows whose root is neither next to nothing nor past the largest margin, and which they are; others get it."""
    ends = _SMALLEST_LOG, _LARGEST_LOG
    near, far = (within(rows, np.full(len(rows), end))[0] >= goal[rows] for end in ends)
    x[rows] = np.select([near, ~far], ends, x[rows])
    return rows[far & ~near], far & ~near


def _first_guess(alpha: Floats, beta: Floats, present: Bools, rise: Floats) -> Floats:
    """Guess the step: what the score has to rise by, times the spread of the log-ratio to the strongest rival."""
    mean = np.log(alpha / (alpha + beta))
    variance = beta / (alpha * (alpha + beta))
    spread = np.sqrt(variance[:, 1:] + variance[:, :1])
    reach = np.where(present[:, 1:], mean[:, 1:] - mean[:, :1] + 2 * spread, -np.inf)
    strongest = np.argmax(reach, axis=1)[:, None]
    spread = at(spread, strongest)[:, 0]
    return np.minimum(np.maximum(rise * spread * _SPREAD_PER_SCORE, 1e-9), _LARGEST_LOG)


def _hermite(last: _Point, here: _Point, wanted: Floats) -> Floats:
    """The log-factor at score ``wanted``, from both points and their slopes; the first point has none yet."""
    gap, ahead = here.score - last.score, wanted - here.score
    chord = _over(here.x - last.x, gap)
    bend = _over(here.slope - chord, gap)
    twist = np.where(np.isnan(last.slope), 0.0, _over(here.slope + last.slope - 2 * chord, gap * gap))
    return here.x + ahead * (here.slope + ahead * (bend + (ahead + gap) * twist))


def _inside(step: Floats, low: Floats, high: Floats, x: Floats) -> Floats:
    """The step where it stays in the bracket and is no leap, else twice as far, or the bracket's middle."""
    closed = (high < _LARGEST_LOG) | (x >= _LARGEST_LOG)
    further = np.where(closed, (low + high) / 2, np.minimum(2 * x, high))
    return np.where((step > low) & (step < np.minimum(high, 4 * x)), step, further)


def _over(numerator: Floats | float, denominator: Floats) -> Floats:
    """The quotient; nan, which no bracket accepts, where the denominator is 0."""
    return np.asarray(numerator / np.where(denominator == 0, np.nan, denominator))
