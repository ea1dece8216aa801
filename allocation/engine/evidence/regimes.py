"""How much of the probability does each start have, once every day is counted?

A new regime begins on any day with the chance 1/300, so that a start's mass is handed on from those before it:

    x_t = 1/299 sum_{s < t} x_s exp(worth of the days s..t-1 under s),

but for a factor that all share. From sixteen days to sixteen days the masses are numbers, in between logarithms: so far
no ordinary mass leaves the range of floats. Where one does, all is computed in logarithms.

Shapes: N experiments with falling numbers of days, T the largest; P pairs of a day and a start (day_worth.Pairs).
"""

from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from allocation.engine.evidence.day_worth import Pairs, pairs_of
from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.probability_best import Bools

_CHANGE_CHANCE = 1 / 300
_LOG_ODDS = np.log(_CHANGE_CHANCE / (1 - _CHANGE_CHANCE))
# So many days are multiplied before the masses are scaled.
_STRIDE = 16
_BEGUN = np.tri(_STRIDE)
# A mass of less, of 1 at its stride's beginning, may have lost summands below the smallest float.
_LEAST_MASS = 1e-250


@np.errstate(divide="ignore")  # the logarithm of no mass is -inf
def regime_masses(worth: Floats, days: NDArray[np.intp]) -> Floats:
    """(N, T) from the worth (N, P + 1) of each pair, 0 at the end: how likely each start is, but for a factor.

    0 past an experiment's last day.
    """
    length = int(days[0])
    pairs, going = pairs_of(length), _going(days)
    best = np.maximum.reduceat(worth[:, :-1], pairs.first[:length], axis=1)[..., None]
    log_mass, lost = np.full((len(worth), length + 1), -np.inf), np.zeros(len(worth), dtype=bool)
    log_mass[:, 0] = 0
    for begin in range(0, length, _STRIDE):
        stride, rows = range(begin, min(begin + _STRIDE, length)), slice(0, going[begin])
        steps = worth[rows].take(_square(length)[begin : stride.stop, : stride.stop], axis=1)
        steps -= best[rows, begin : stride.stop]
        steps[:, :, begin:] *= _BEGUN[: len(stride), : len(stride)]
        lost[rows] |= _stride(log_mass[rows], steps.cumsum(axis=1), days[rows], stride, going)
    masses: Floats = np.exp(log_mass[:, :length])
    if np.count_nonzero(lost):
        masses[lost] = _in_logs(worth[lost], days[lost], pairs)
    return masses


def _going(days: NDArray[np.intp]) -> list[int]:
    """How many experiments, of falling numbers of days, have each day."""
    if days[0] == days[-1]:
        return [len(days)] * int(days[0])
    going: list[int] = (days > np.arange(days[0])[:, None]).sum(axis=1).tolist()
    return going


def masses_in_logs(worth_of_days: Iterable[Floats], size: int, length: int) -> Floats:
    """(N, T), from each day's worth under its starts: (M, day + 1) for the M first experiments, which have the day."""
    log_p = np.full((size, length), -np.inf)
    log_p[:, 0] = 0
    for day, worth in enumerate(worth_of_days):
        now = log_p[: len(worth), : day + 1]
        if day:
            # 1/300 against 299/300 for each older start: the factor that all would share is left out
            begun = np.add.reduce(np.exp(now[:, :day]), axis=1)
            np.add(np.log(begun), _LOG_ODDS, out=now[:, day])
        now += worth
        now -= np.maximum.reduce(now, axis=1, keepdims=True)
    return np.asarray(np.exp(log_p))


def _in_logs(worth: Floats, days: NDArray[np.intp], pairs: Pairs) -> Floats:
    """The masses by logarithms alone: slower, and right whatever they are."""
    of_days = (worth[days > day, slice(*places)] for day, places in enumerate(pairwise(pairs.first)))
    return masses_in_logs(of_days, len(worth), len(pairs.first) - 1)


@lru_cache(maxsize=16)
def _square(length: int) -> NDArray[np.intp]:
    """(T, T): the place of each pair, and P where the start is later than the day."""
    pairs = pairs_of(length)
    places = np.full((length, length), pairs.first[length])
    places[pairs.day, pairs.start] = np.arange(pairs.first[length])
    return places


def _stride(
    log_mass: Floats, worth: Floats, days: NDArray[np.intp], stride: range, going: list[int]
) -> Bools:
    """Bring the logarithms of the masses (N, T + 1) over some days, in place; whose are lost (N,).

    ``worth`` (N, D, S): of all days so far of the stride, under each start. ``going`` (T,): how many experiments have a
    day.
    """
    begin, end = stride.start, stride.stop
    chances, masses = np.exp(worth + _LOG_ODDS), np.zeros((len(worth), end + 1))
    np.exp(log_mass[:, : begin + 1], out=masses[:, : begin + 1])
    for day in stride:
        rows, then = going[day], day + 1
        np.vecdot(chances[:rows, day - begin, :then], masses[:rows, :then], out=masses[:rows, then])
    # the start after the last of these days, too: no later stride asks for it again
    lost, last = masses[:, begin + 1 :] < _LEAST_MASS, worth[:, -1]
    if days[0] == days[-1] == end:
        masses[:, end], lost[:, -1] = 0, False
    elif days[-1] <= end:
        ended = np.arange(end + 1) >= days[:, None]
        masses[ended] = 0
        lost &= ~ended[:, begin + 1 :]
        last = worth[np.arange(len(worth)), np.minimum(days, end) - begin - 1]
    np.log(masses, out=log_mass[:, : end + 1])
    log_mass[:, :end] += last
    log_mass -= np.maximum.reduce(log_mass, axis=1, keepdims=True)
    return np.asarray(lost.any(axis=1))
