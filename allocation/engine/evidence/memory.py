"""Which days belong to the present?

Hypothesis s: the variants' relative rates have been what they are since day s; a new regime begins on any day with the
chance 1/300. Under s, theta_i ~ Gamma(30 + sum O_i, 30 + sum q_i) over the days s..t-1, with q_it = n_it m_t a trial's
exposure at the level m_t = O_t / sum_i n_it E[theta_i] of the day. Day t, given its total O_t, is worth

    sum_i NB(O_it; a_i, b_i, q_it) - NB(O_t; k, k, O_t),    k = (sum mu)^2 / sum(mu^2 / a), mu_i = q_it a_i / b_i

in log likelihood, NB the negative binomial of a Poisson(q theta) count: the level cancels. Each NB is a difference of
log Gamma(a) - a log b before and after the day, and the O_it log q_it; by Stirling's formula most of that cancels too.

Source: Adams & MacKay, "Bayesian online changepoint detection" (2007).
Shapes: trials and successes (N, T, K), experiments by days by variants, counts divided by the dispersion; days without
trials may stand anywhere and mean nothing. Starts and weights (N, T), rows of starts sum to 1.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from allocation.engine.evidence.day_worth import log_worth
from allocation.engine.evidence.earlier_day_worth import worth_of_days
from allocation.engine.evidence.regimes import masses_in_logs, regime_masses
from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.probability_best import Bools

# A regime holds every weekday: younger starts count as this old.
_LEAST_DAYS = 7
GROUPS = 5
# A change is reported where a start after the first week, in the last four weeks, is at least this likely.
_CHANGE_FOUND = 0.9
_REPORTED_AFTER, REPORTED_WITHIN = 7, 28
# Counts of the experiments that are worked on together, which are compared with those of sixteen days at once.
_CHUNK_FLOATS = 1 << 13


class Change(NamedTuple):
    """``start`` (N,): the likeliest day of a change in the last weeks, -1 if none is found; ``probability`` of one."""

    start: NDArray[np.intp]
    probability: Floats


def regime_starts(trials: Floats, successes: Floats, earlier: bool = False) -> Floats:
    """How likely it is that the present relative rates began on each day, (N, T); ``earlier``: as before rules 6."""
    seen: Bools = trials.sum(axis=2) > 0
    days = seen.sum(axis=1)
    if not np.count_nonzero(seen[:, 1:] > seen[:, :-1]):
        return _in_chunks(trials, successes, days, earlier)
    order = np.argsort(~seen, axis=1, kind="stable")[..., None]  # days with data first
    n, o = np.take_along_axis(trials, order, axis=1), np.take_along_axis(successes, order, axis=1)
    answer = np.zeros(seen.shape)
    np.put_along_axis(answer, order[..., 0], _in_chunks(n, o, days, earlier), axis=1)
    return answer


def _in_chunks(trials: Floats, successes: Floats, days: NDArray[np.intp], earlier: bool) -> Floats:
    """The starts of experiments whose first ``days`` (N,) have trials."""
    starts = np.zeros(trials.shape[:2])
    starts[days == 0, :1] = 1
    for rows in _chunks(days, trials.shape[2]):
        kept = int(days[rows[0]])
        starts[rows, :kept] = _starts(trials[rows, :kept], successes[rows, :kept], days[rows], earlier)
    return starts


def day_weights(starts: Floats) -> Floats:
    """w_t = the chance that day t belongs to the present regime."""
    return np.asarray(np.minimum(np.add.accumulate(starts, axis=-1), 1.0))


def group_weights(starts: Floats) -> Floats:
    """(N, G, T): the starts cut, in order, into GROUPS of equal probability; the weight of each day in each."""
    in_groups = starts[:, None] * GROUPS
    high, group = np.add.accumulate(in_groups, axis=-1), np.arange(GROUPS)[:, None]
    part = np.maximum(np.minimum(high, group + 1) - np.maximum(high - in_groups, group), 0)
    return np.asarray(np.minimum(np.add.accumulate(part, axis=-1), 1.0))


def change_found(starts: Floats, seen: Bools) -> Change:
    """Whether the rates have changed lately; ``seen`` (N, T) marks the days with trials, which alone are counted."""
    since, days = np.add.accumulate(seen, axis=1, dtype=np.intp) - 1, seen.sum(axis=1, keepdims=True)
    lately = np.where(since >= np.maximum(_REPORTED_AFTER, days - REPORTED_WITHIN), starts, 0.0)
    probability = lately.sum(axis=1)
    found = probability >= _CHANGE_FOUND
    likeliest = np.argmax(lately[found], axis=1) if np.count_nonzero(found) else 0
    start = np.full(len(starts), -1)
    start[found] = likeliest
    return Change(start, probability)


def _chunks(days: NDArray[np.intp], k: int) -> list[NDArray[np.intp]]:
    """Rows to work on together: those with most days first; none without."""
    rows = np.argsort(-days, kind="stable")[: int((days > 0).sum())]
    chunks = []
    while rows.size:
        size = max(1, _CHUNK_FLOATS // (int(days[rows[0]]) * max(k, 4)))
        chunks.append(rows[:size])
        rows = rows[size:]
    return chunks


def _starts(trials: Floats, successes: Floats, days: NDArray[np.intp], earlier: bool) -> Floats:
    """Compute the starts of experiments with falling numbers of ``days``, all of them with trials."""
    if earlier:
        return _starts_of(masses_in_logs(worth_of_days(trials, successes, days), *trials.shape[:2]), days)
    n = trials if days[0] == days[-1] else _with_trials(trials)
    return starts_from_worth(log_worth(n, successes), days)


def starts_from_worth(worth: Floats, days: NDArray[np.intp]) -> Floats:
    """The starts (N, T) of experiments with falling numbers of ``days``, from what day_worth.log_worth found."""
    return _starts_of(regime_masses(worth, days), days)


def _starts_of(masses: Floats, days: NDArray[np.intp]) -> Floats:
    return _at_least_a_week(masses / _in_order(masses), days)


def _with_trials(trials: Floats) -> Floats:
    """One trial for each variant on days that have none, those behind an experiment's last: they count nowhere."""
    return np.where(trials.any(axis=2, keepdims=True), trials, 1.0)


def _at_least_a_week(starts: Floats, days: NDArray[np.intp]) -> Floats:
    youngest = np.maximum(days - _LEAST_DAYS, 0)[:, None]
    place = np.arange(starts.shape[1])
    younger = _in_order(np.where(place > youngest, starts, 0))
    return np.where(place > youngest, 0, starts + younger * (place == youngest))


def _in_order(rows: Floats) -> Floats:
    """Sums (N, 1) of rows, added from left to right: zeros at the end, for others' days, do not change a bit."""
    return np.asarray(np.add.accumulate(rows, axis=1)[:, -1:])
