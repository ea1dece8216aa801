"""How much is a day's trial worth as evidence, when all rates move together and some days count only in part?

Model: rate_it = theta_i m_t. Engine 1 fits it by maximum likelihood (day_effects.py), where a day without successes
has the level 0 and so erases its trials. Here each level is drawn toward the pooled rate r by one success,

    m_t = (w_t O_t + 1) / (w_t sum_i n_it theta_i + 1 / r),    theta_i = w O_i / sum_t w_t n_it m_t

with theta scaled at each round so that sum w n theta = sum w n: only one scale of the two is free. A trial then counts
m_t, scaled to the observed total, and never so little that a variant has more successes than trials.

The evidence kept is that of engine 1: the Fisher information about theta_i of the day's successes, given their sum,
over the information with m_t known.

Source: Breslow & Day, "Statistical Methods in Cancer Research II" (1987), chapter 2.
Shapes: weighted trials and successes (N, T, K), experiments by days by variants; zeros where there is no data.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.probability_best import Bools

_LEVEL_PRIOR = 1.0
_TOLERANCE = 1e-12
# Plain rounds settle in about four; variants that hardly share a day take thousands, or a few of Newton's.
_PLAIN_ROUNDS = 12
_NEWTON_ROUNDS = 50
_LARGEST_STEP = 2.0


class DayLevels(NamedTuple):
    """``effective_trials`` and ``kept`` (N, K), kept in [0, 1]."""

    effective_trials: Floats
    kept: Floats


def level_evidence(trials: Floats, successes: Floats) -> DayLevels:
    """Effective trials n*_i >= O_i and the evidence kept; without any success the trials as they are, all kept."""
    effective, kept = trials.sum(axis=1), np.ones((len(trials), trials.shape[2]))
    some = (successes.sum(axis=(1, 2)) > 0).nonzero()[0]
    if some.size:
        n, o = (trials, successes) if len(some) == len(trials) else (trials[some], successes[some])
        level, theta = drawn_levels(n, o)
        weighted = _by_variant(n, level)
        scale = n.sum(axis=(1, 2)) / weighted.sum(axis=-1)
        effective[some] = np.maximum(weighted * scale[:, None], o.sum(axis=1))
        kept[some] = information_kept(n, o, theta)
    return DayLevels(effective, kept)


def drawn_levels(trials: Floats, successes: Floats) -> tuple[Floats, Floats]:
    """Levels m (N, T), in rate, and variant factors theta (N, K), which average 1 over the trials.

    Every experiment has at least one success.
    """
    fit = now = _Fit.of(trials, successes)
    theta, rows = np.ones((len(trials), trials.shape[2])), np.arange(len(trials))
    before = theta.copy()
    for count in range(_PLAIN_ROUNDS + _NEWTON_ROUNDS):
        after = now.next_theta(before) if count < _PLAIN_ROUNDS else now.newton(before)
        theta[rows] = after
        far = np.abs(after - before) > _TOLERANCE * np.maximum.reduce(after, axis=1, keepdims=True)
        moving = np.logical_or.reduce(far, axis=1)
        going = np.count_nonzero(moving)
        if not going:
            break
        before = after
        if going < len(rows):
            rows, before = rows[moving], after[moving]
            now = fit.rows(rows)
    return fit.level(theta), theta


class _Fit(NamedTuple):
    """Trials (N, T, K), successes by day and the draw's (N, T), by variant (N, K), trials by variant (N, K) and all.

    ``draw`` (N, 1): the trials that the draw is worth.
    """

    trials: Floats
    drawn: Floats
    by_variant: Floats
    total: Floats
    whole: Floats
    draw: Floats

    @classmethod
    def of(cls, trials: Floats, successes: Floats) -> "_Fit":
        total, by_variant = np.add.reduce(trials, axis=1), np.add.reduce(successes, axis=1)
        whole = np.add.reduce(total, axis=1, keepdims=True)
        pooled = np.add.reduce(by_variant, axis=1, keepdims=True) / whole
        drawn = np.add.reduce(successes, axis=2) + _LEVEL_PRIOR
        return cls(trials, drawn, by_variant, total, whole, _LEVEL_PRIOR / pooled)

    def rows(self, chosen: NDArray[np.intp]) -> "_Fit":
        if len(chosen) == len(self.trials):
            return self
        return _Fit(*(array[chosen] for array in self))

    def level(self, theta: Floats) -> Floats:
        return np.asarray(self.drawn / (self.expected(theta) + self.draw))

    def expected(self, theta: Floats) -> Floats:
        return (self.trials @ theta[..., None])[..., 0]

    def scaled(self, theta: Floats) -> Floats:
        """Theta that averages 1."""
        worth = np.add.reduce(self.total * theta, axis=1, keepdims=True)
        return np.asarray(theta * (self.whole / worth))

    def next_theta(self, theta: Floats) -> Floats:
        exposure = _by_variant(self.trials, self.level(theta))
        seen = exposure > 0
        if np.count_nonzero(seen) == seen.size:
            return self.scaled(self.by_variant / exposure)
        return self.scaled(np.where(seen, self.by_variant / np.where(seen, exposure, 1.0), 0.0))

    def newton(self, theta: Floats) -> Floats:
        """Newton's step on log theta: log(theta_i exposure_i / O_i) is to be the same for all with O_i > 0."""
        known, level = self.by_variant > 0, self.level(theta)
        exposure = np.where(known, _by_variant(self.trials, level), 1.0)
        off = np.log(np.where(known, theta * exposure / np.where(known, self.by_variant, 1.0), 1.0))
        step = np.linalg.solve(self._system(theta, level, exposure, known), _one_more(-off)[..., None])
        moved = theta * np.exp(np.clip(step[:, :-1, 0], -_LARGEST_STEP, _LARGEST_STEP))
        return self.scaled(np.where(known, moved, 0.0))

    def _system(self, theta: Floats, level: Floats, exposure: Floats, known: Bools) -> Floats:
        """Jacobian (N, K + 1, K + 1): the last column is that constant's, the last row keeps theta's average."""
        slope = level / (self.expected(theta) + self.draw)
        shared = self.trials.transpose(0, 2, 1) @ (slope[..., None] * self.trials) / exposure[..., None]
        size, k = theta.shape
        system = np.zeros((size, k + 1, k + 1))
        system[:, :k, :k] = np.eye(k) - np.where(known[:, :, None], shared * theta[:, None], 0.0)
        system[:, :k, k] = -known.astype(np.float64)
        worth = self.total * theta
        system[:, k, :k] = worth / worth.sum(axis=1, keepdims=True)
        return system


def _one_more(rows: Floats) -> Floats:
    """A column of zeros beside them."""
    return np.concatenate([rows, np.zeros((len(rows), 1))], axis=1)


def information_kept(trials: Floats, successes: Floats, theta: Floats) -> Floats:
    """The part of the evidence about each theta that not knowing the levels leaves, (N, K) in [0, 1]."""
    by_day, by_variant = successes.sum(axis=2), successes.sum(axis=1)
    expected = trials * theta[:, None]
    # the others' part is summed, not 1 - own: the difference would lose its digits when one variant has all
    others = expected @ _all_but_one(trials.shape[2])
    day_total = expected.sum(axis=2, keepdims=True)
    day_total = np.where(day_total > 0, day_total, np.inf)
    inside = (by_day[..., None] * expected / day_total * others / day_total).sum(axis=1)
    mean_other = (by_day[..., None] * others / day_total).sum(axis=1) / by_day.sum(axis=1)[:, None]
    known = by_variant * mean_other
    seen = np.logical_or.reduce(trials > 0, axis=1)
    whole = (known <= 0) | (np.add.reduce(seen, axis=-1, keepdims=True, dtype=np.intp) < 2)
    part = inside / np.where(whole, 1.0, known)
    return np.where(whole, 1.0, np.minimum(np.maximum(part, 0.0), 1.0))


@cache
def _all_but_one(variants: int) -> Floats:
    return np.asarray(1 - np.eye(variants))


def _by_variant(trials: Floats, level: Floats) -> Floats:
    """sum_t n_it m_t, shape (N, K)."""
    return np.asarray((level[:, None, :] @ trials)[:, 0])
