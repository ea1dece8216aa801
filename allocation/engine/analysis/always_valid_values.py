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

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from allocation.engine.evidence.values import day_variances, pooled_spread
from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.probability_best import Bools

_PRECISION = 1 / 0.2**2
_LEVEL = np.log(20.0)
_LARGEST_LOG = np.log1p(1e9)
# They end at 10^-12: what is shown has three decimals.
_HALVINGS = 46


class Pair(NamedTuple):
    """Days on which both have trials, (T,): the variant and the control; variances are those of the sums."""

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
        n, s, q = (array[days][:, [variant, control]] for array in (trials, values, squares))
        spread = pooled_spread(n[None], s[None], q[None])[0] * phi
        worth, variance = s / spread, day_variances(n, s, q) * phi / spread**2
        return cls(n[:, 0], n[:, 1], worth[:, 0], worth[:, 1], variance[:, 0], variance[:, 1])

    def score(self, log_ratio: Floats) -> tuple[Floats, Floats]:
        """Z and V of each day, (X, T), at the (X,) ratios."""
        trials = np.exp(log_ratio)[:, None] * self.trials
        # as parts of the whole: f may be as far as 10^9 from 1
        whole = trials + self.control_trials
        own, others = trials / whole, self.control_trials / whole
        score = others * self.values - own * self.control_values
        return score, others**2 * self.variance + own**2 * self.control_variance

    def sums(self, log_ratio: Floats) -> tuple[Floats, Floats]:
        """W and V of all days, (X,)."""
        score, variance = self.score(log_ratio)
        return score.sum(axis=1), variance.sum(axis=1)


def log_bets(pair: Pair) -> Floats:
    """ln M(1) after each day."""
    score, variance = (np.cumsum(part[0]) for part in pair.score(np.zeros(1)))
    return np.asarray(_log_bet(score, variance))


def interval(pair: Pair) -> Floats:
    """Both ends of ln f: from the ratio at which the score is 0, outward to where M reaches 20."""
    ends = np.array([-_LARGEST_LOG, _LARGEST_LOG])
    middle = _last(lambda x: pair.sums(x)[0] > 0, ends[:1], ends[1:])
    outside = _log_bet(*pair.sums(ends)) >= _LEVEL
    edges = _last(lambda x: _log_bet(*pair.sums(x)) < _LEVEL, np.repeat(middle, 2), ends)
    return np.where(outside, edges, [-np.inf, _LARGEST_LOG])


def _last(holds: Callable[[Floats], Bools], inner: Floats, outer: Floats) -> Floats:
    """Where, on the way from ``inner`` to ``outer``, it holds for the last time; by halving."""
    for _ in range(_HALVINGS):
        middle = (inner + outer) / 2
        inside = holds(middle)
        inner, outer = np.where(inside, middle, inner), np.where(inside, outer, middle)
    return inner


def _log_bet(score: Floats, variance: Floats) -> Floats:
    known = variance + _PRECISION
    return np.asarray((score * score / known - np.log(known / _PRECISION)) / 2)
