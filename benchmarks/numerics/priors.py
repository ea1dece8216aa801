"""The prior of estimators that are not the product's own."""

import numpy as np

from allocation.engine.batch import Counts
from allocation.engine.posterior.beta import Floats


def failures_assumed(counts: Counts) -> Floats:
    """beta_prior (N, 1); where it is blank, what centres the prior on the experiment's pooled rate."""
    trials, successes = (
        np.maximum(c.sum(axis=(1, 2)), 1)[:, None] for c in (counts.trials, counts.successes)
    )
    centred = counts.settings.alpha_prior * (trials / successes - 1)
    return np.where(np.isnan(counts.settings.beta_prior), centred, counts.settings.beta_prior)
