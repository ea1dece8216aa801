"""An oracle by scipy: the engine's integrals by other means, for comparison only."""

import numpy as np
from scipy import special

from allocation.engine.posterior.beta import Floats

_LEVELS = np.concatenate([10.0 ** np.arange(-15, -1), np.linspace(0.02, 0.98, 9)])


def logit_grid(alpha: Floats, beta: Floats, order: int = 12) -> tuple[Floats, Floats]:
    """Nodes and weights on the logit axis of a composite Gauss rule cut at every variant's quantiles."""
    low = special.betaincinv(alpha[:, None], beta[:, None], _LEVELS)
    high = special.betaincinv(beta[:, None], alpha[:, None], _LEVELS)
    with np.errstate(divide="ignore"):
        cuts = np.concatenate([np.log(low) - np.log1p(-low), np.log1p(-high) - np.log(high)]).ravel()
    cuts = np.unique(cuts[np.isfinite(cuts)])
    nodes, weights = special.roots_legendre(order)
    half = np.diff(cuts)[:, None] / 2
    return (cuts[:-1, None] + half * (nodes + 1)).ravel(), (half * weights).ravel()


def contest_by_scipy(alpha: Floats, beta: Floats) -> tuple[Floats, Floats]:
    """probability_best and expected_loss, from scipy's incomplete beta function."""
    z, weights = logit_grid(alpha, beta)
    x, y = special.expit(z), special.expit(-z)
    log_f = alpha[:, None] * np.log(x) + beta[:, None] * np.log(y) - special.betaln(alpha, beta)[:, None]
    mass = np.exp(log_f) * weights
    # betaln has few digits left for 10^8 trials; the mass itself is known to be one
    mass /= mass.sum(axis=1, keepdims=True)
    # Each half by the function that has digits there.
    low = x <= 0.5
    cdf = np.empty_like(mass)
    cdf[:, low] = special.betainc(alpha[:, None], beta[:, None], x[low])
    cdf[:, ~low] = special.betaincc(beta[:, None], alpha[:, None], y[~low])
    others = np.array([np.delete(cdf, i, axis=0).prod(axis=0) for i in range(len(alpha))])
    best = (mass * others).sum(axis=1)
    highest = (mass * others * x).sum() / best.sum()
    return best, highest - alpha / (alpha + beta)
