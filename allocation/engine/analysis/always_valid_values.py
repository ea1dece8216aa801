"""How much better than the control is a variant in value per trial, in an interval that may be looked at every day?

Single values have no likelihood that would be known, so that the bet of counts (always_valid.py) has none to stand on.
Its score does: for a ratio f of both values per trial

    Z_t(f) = (s_tw n_tc - f s_tc n_tw) / (f n_tw + n_tc)
    V_t(f) = (n_tc^2 v_tw + f^2 n_tw^2 v_tc) / (f n_tw + n_tc)^2

Z_t is expected to be 0 on any day, whatever the day's level and shares that follow the data, and has the variance V_t,
with v_ti the variance of the sum s_ti from the visitors of its day. With W and V the sums over days in effective orders
(s / phi, phi the spread of both together, times the dispersion), the normal mixture

    M(f) = sqrt(r / (r + V)) exp(W^2 / (2 (r + V))),    r = 1 / 0.2^2,

is a bet that nobody expects to win, as far as the sums of values are normal. It mixes over the same ratios as that of
counts: ln f' ~ N(ln f, 0.2^2). The interval is {f: M(f) < 20}; p is the least of 1 / M(1) on any day so far.

Source: Howard, Ramdas, McAuliffe & Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences" (2021).
Shapes: trials, values and squares (T, K), all days since the start, oldest first.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from allocation.engine.analysis.crossing import crossings
from allocation.engine.analysis.pairs import side_by_side
from allocation.engine.evidence.values import day_variances, pooled_spread
from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.probability_best import Bools

_PRECISION = 1 / 0.2**2
_LEVEL = math.log(20.0)
_LARGEST_LOG = math.log1p(1e9)
# A day of a Pair that tells nothing of the ratio; some trials, as the score divides by their sum.
_NO_DAY = (0.0, 1.0, 0.0, 0.0, 0.0, 0.0)


class Pair(NamedTuple):
    """Days on which both have trials, (T,): the variant and the control; variances are those of the sums.

    Of V variants together (V, T) each: ``score`` and all that follows takes those, too.
    """

    trials: Floats
    control_trials: Floats
    values: Floats
    control_values: Floats
    variance: Floats
    control_variance: Floats

    @classmethod
    def of(
        cls, trials: Floats, values: Floats, squares: Floats, variant: int, control: int, phi: float
    ) -> "Pair":
        """In effective orders."""
        days = (trials[:, variant] > 0) & (trials[:, control] > 0)
        n, s, q = (
            array.T[[variant, control]].compress(days, axis=1).T for array in (trials, values, squares)
        )
        spread = pooled_spread(n[None], s[None], q[None])[0] * phi
        worth, variance = s / spread, day_variances(n, s, q) * phi / spread**2
        return cls(n[:, 0], n[:, 1], worth[:, 0], worth[:, 1], variance[:, 0], variance[:, 1])

    @classmethod
    def together(cls, pairs: Sequence["Pair"], seen: Bools) -> "Pair":
        """Put variants beside each other, (V, T), each ``seen`` on its own days: on the others its score is 0."""
        columns = zip(zip(*pairs, strict=True), _NO_DAY, strict=True)
        return cls(*(side_by_side(of, seen, otherwise) for of, otherwise in columns))

    def score(self, log_ratio: float | Floats) -> tuple[Floats, Floats]:
        """Z and V of each day, (..., T), at this ratio, or at one of each variant."""
        trials = np.exp(np.asarray(log_ratio))[..., None] * self.trials
        # as parts of the whole: f may be as far as 10^9 from 1
        whole = trials + self.control_trials
        own, others = trials / whole, self.control_trials / whole
        score = others * self.values - own * self.control_values
        return score, others**2 * self.variance + own**2 * self.control_variance

    def sums(self, log_ratio: float | Floats) -> tuple[Floats, Floats]:
        """W and V of all days, (V,)."""
        score, variance = self.score(log_ratio)
        return np.add.reduce(score, axis=-1), np.add.reduce(variance, axis=-1)


def log_bets(pair: Pair) -> Floats:
    """ln M(1) after each day."""
    score, variance = (np.cumsum(of, axis=-1) for of in pair.score(0.0))
    known = variance + _PRECISION
    return np.asarray((score * score / known - np.log(known / _PRECISION)) / 2)


def intervals(pairs: Pair) -> Floats:
    """Both ends of ln f of each, (V, 2): from the ratio at which the score is 0, outward to where M reaches 20."""
    ends = [np.full(len(pairs.trials), end) for end in (-_LARGEST_LOG, _LARGEST_LOG)]
    middle = crossings(lambda x: -pairs.sums(x)[0], *ends)
    low, high = (crossings(lambda x: _over_level(pairs, x), middle, end) for end in ends)
    return np.stack([np.where(low <= -_LARGEST_LOG, -np.inf, low), high], axis=1)


def _over_level(pairs: Pair, log_ratio: Floats) -> Floats:
    """How far ln M exceeds ln 20."""
    score, variance = pairs.sums(log_ratio)
    known = variance + _PRECISION
    return np.asarray((score * score / known - np.log(known / _PRECISION)) / 2 - _LEVEL)
