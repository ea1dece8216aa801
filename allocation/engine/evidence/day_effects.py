"""How much is a day's trial worth as evidence, when rates move together from day to day?

Weekends, campaigns and outages move all rates at once, and the split moves too. Pooled rates then compare
variants on different mixtures of days (Simpson's paradox). Model: rate_it = theta_i * m_t. Its maximum
likelihood fit is found by alternating theta_i = O_i / sum_t n_it m_t and m_t = O_t / sum_i n_it theta_i. A
trial on day t then counts m_t, scaled so that the total stays the observed total (indirect
standardisation).

Not knowing m_t costs information. Given the day's successes, which variant had them is multinomial and m_t
cancels; the Fisher information of that likelihood, over the one with m_t known, is the part of the evidence
kept.

Source: Breslow & Day, "Statistical Methods in Cancer Research II" (1987), chapter 2.
Shapes: trials and successes (N, T, K), experiments by days by variants, counts; zeros where there is no data.
"""

from typing import NamedTuple

import numpy as np

from allocation.engine.posterior.beta import Floats

_TOLERANCE = 1e-9
# Fits still moving after this many rounds are those of variants that hardly share a day; for them the
# information kept is close to nothing, whatever the last digits of the fit.
_MAX_ROUNDS = 500


class Evidence(NamedTuple):
    """Shape (N, K): trials after adjustment, and the part of the evidence that survives it, in [0, 1]."""

    effective_trials: Floats
    kept: Floats


def adjusted_evidence(trials: Floats, successes: Floats) -> Evidence:
    """Effective trials n*_i >= O_i and the evidence kept d_i, for each variant of each experiment."""
    level, theta = fit_levels(trials, successes)
    weighted = _by_variant(trials, level)
    scale = _ratio(trials.sum(axis=(1, 2)), weighted.sum(axis=-1))
    effective = np.maximum(weighted * scale[:, None], successes.sum(axis=1))
    return Evidence(effective, _information_kept(trials, successes, theta))


def fit_levels(trials: Floats, successes: Floats) -> tuple[Floats, Floats]:
    """Maximum likelihood day levels m (N, T), in rate, and variant factors theta (N, K), about 1."""
    by_day, by_variant = successes.sum(axis=2), successes.sum(axis=1)
    level = _ratio(by_day, trials.sum(axis=2))
    theta = _ratio(by_variant, _by_variant(trials, level))
    rows = np.arange(len(trials))
    for _ in range(_MAX_ROUNDS):
        n = trials[rows]
        new_level = _ratio(by_day[rows], (n @ theta[rows, :, None])[..., 0])
        new_theta = _ratio(by_variant[rows], _by_variant(n, new_level))
        moved = np.abs(new_theta - theta[rows]) > _TOLERANCE * new_theta
        moved_level = np.abs(new_level - level[rows]) > _TOLERANCE * new_level
        level[rows], theta[rows] = new_level, new_theta
        rows = rows[moved.any(axis=-1) | moved_level.any(axis=-1)]
        if not rows.size:
            break
    return level, theta


def _information_kept(trials: Floats, successes: Floats, theta: Floats) -> Floats:
    by_day, by_variant = successes.sum(axis=2), successes.sum(axis=1)
    expected = trials * theta[:, None]
    # the others' part is summed, not 1 - own: the difference would lose its digits when one variant has all
    others = expected @ (1 - np.eye(trials.shape[2]))
    day_total = expected.sum(axis=2, keepdims=True)
    own_part, other_part = _ratio(expected, day_total), _ratio(others, day_total)
    kept = (by_day[..., None] * own_part * other_part).sum(axis=1)
    # O_i * (1 - pibar_i), with pibar_i the mean of own_part over successes
    known = by_variant * _ratio((by_day[..., None] * other_part).sum(axis=1), by_day.sum(axis=1)[:, None])
    reporting = (trials.sum(axis=1) > 0).sum(axis=-1, keepdims=True)
    whole = (known <= 0) | (reporting < 2)
    return np.where(whole, 1.0, np.clip(kept / np.where(whole, 1.0, known), 0.0, 1.0))


def _by_variant(trials: Floats, level: Floats) -> Floats:
    """sum_t n_it m_t, shape (N, K)."""
    return np.asarray((level[:, None, :] @ trials)[:, 0])


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """numerator / denominator, 0 where the denominator is 0."""
    safe = np.where(denominator > 0, denominator, 1.0)
    return np.where(denominator > 0, numerator / safe, 0.0)
