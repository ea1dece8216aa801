"""Which of many variants' panels are enough to integrate over all of them?

Each variant has panels of its own (beta.panel_edges), on which its density is resolved. Cut wherever any of them is
cut, the axis of a hundred variants has 700 panels; where variants are alike, those of the narrowest do for all.

Shapes: N experiments, K variants, E edges of each, C rising cuts of the axis that contain all edges.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from allocation.engine.posterior.beta import Floats

# Up to so many variants it takes longer to find the panels that can be spared than to integrate over all.
FEW = 6
# A panel's own length, with room for the last digit.
_WHOLE_PANEL = 1 + 1e-9
# Floats in one temporary array, about what a core's own cache holds; there are about as many arrays as levels.
_CHUNK_FLOATS, _LEVELS = 1 << 15, 8
# Rows are worked on together whose numbers of panels differ by less.
_PANELS_MORE = 8


def needed_cuts(
    cuts: Floats, edges: Floats, present: NDArray[np.bool_], few: NDArray[np.bool_]
) -> NDArray[np.intp]:
    """Find which of the cuts (N, C) are needed, as ``enough_cuts`` has them; all of a row (N,) with few variants.

    How many others there are, and how many variants they have, changes no row's cuts.
    """
    last = cuts.shape[1] - 1
    found = (~few, enough_cuts(cuts[~few], edges[~few], present[~few])), (few, _distinct(cuts[few]))
    chosen = np.full((len(cuts), max(some.shape[1] for _, some in found)), last)
    for rows, some in found:
        chosen[rows, : some.shape[1]] = some
    return chosen


def alike(cuts: Floats, chosen: NDArray[np.intp]) -> Iterator[tuple[NDArray[np.intp], Floats]]:
    """Rows with about as many panels, and their edges (M, P + 1).

    A row's P is its own: sums of more zeros may round otherwise, and nothing is to depend on what is computed beside.
    """
    last = cuts.shape[1] - 1
    panels = (chosen < last).sum(axis=-1)
    sizes = -(-panels // _PANELS_MORE) * _PANELS_MORE
    for size in sorted(set(sizes.tolist())):
        rows = np.flatnonzero(sizes == size)
        places = np.full((len(rows), size + 1), last)
        known = chosen[rows, : size + 1]
        places[:, : known.shape[1]] = known
        yield rows, np.take_along_axis(cuts[rows], places, axis=-1)


def _distinct(cuts: Floats) -> NDArray[np.intp]:
    """The last of equal cuts, as indices (N, P + 1)."""
    last = cuts.shape[1] - 1
    is_last = np.ones(cuts.shape, dtype=bool)
    is_last[:, :-1] = cuts[:, 1:] > cuts[:, :-1]
    places = np.sort(np.where(is_last, np.arange(last + 1), last), axis=-1)
    return places[:, : is_last.sum(axis=-1).max(initial=1)]


def enough_cuts(cuts: Floats, edges: Floats, present: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Find which of the cuts (N, C) remain, as indices (N, P + 1); a row that needs fewer repeats its last one."""
    fineness, size = np.empty_like(cuts[:, 1:]), max(1, _CHUNK_FLOATS // (cuts.shape[1] * _LEVELS))
    for start in range(0, len(cuts), size):
        rows = slice(start, start + size)
        fineness[rows] = _fineness(cuts[rows], edges[rows], present[rows])
    return _merged(cuts, fineness)


def _merged(cuts: Floats, fineness: Floats) -> NDArray[np.intp]:
    """Which of the rising cuts (N, C) remain: the fewest that leave no panel longer than the shortest own panel in it.

    Where many variants are alike, the panels of one do for all.
    """
    place, last = np.zeros((len(cuts), 1), dtype=np.intp), cuts.shape[1] - 1
    chosen = [place]
    while (place < last).any():
        ahead = np.where(np.arange(last) >= place, fineness, 0)
        length = cuts[:, 1:] - np.take_along_axis(cuts, place, axis=-1)
        fits = length * np.maximum.accumulate(ahead, axis=-1) <= _WHOLE_PANEL
        place = np.minimum(np.maximum(fits.sum(axis=-1, keepdims=True), place + 1), last)
        chosen.append(place)
    return np.concatenate(chosen, axis=-1)


def _fineness(cuts: Floats, edges: Floats, present: NDArray[np.bool_]) -> Floats:
    """Panels per unit of z from each cut to the next, (N, C - 1): those of the variant whose own are shortest there."""
    start, end = _places(cuts, edges)
    length = np.diff(edges, axis=-1)
    density = np.where((end > start) & present[..., None], 1 / np.where(length > 0, length, np.inf), 0.0)
    level = np.floor(np.log2(np.maximum(end - start, 1))).astype(np.intp)
    size, last = len(cuts), cuts.shape[1]
    finest = np.zeros((int(level.max(initial=0)) + 1, size, last))
    row = (level * size + np.arange(size)[:, None, None]) * last
    for place in (start, np.maximum(end - (1 << level), start)):
        np.maximum.at(finest.reshape(-1), (row + place).ravel(), density.ravel())
    # what holds for 2^n intervals holds for both halves
    for n in reversed(range(1, len(finest))):
        half = 1 << (n - 1)
        np.maximum(finest[n - 1], finest[n], out=finest[n - 1])
        np.maximum(finest[n - 1, :, half:], finest[n, :, :-half], out=finest[n - 1, :, half:])
    return finest[0, :, :-1]


def _places(cuts: Floats, edges: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The first of equal cuts at which each own panel begins, and that at which it ends, (N, K, E - 1)."""
    within = np.clip(edges, cuts[:, :1, None], cuts[:, -1:, None]).reshape(cuts.shape)
    is_first = np.ones(cuts.shape, dtype=bool)
    is_first[:, 1:] = cuts[:, 1:] > cuts[:, :-1]
    first = np.maximum.accumulate(np.where(is_first, np.arange(cuts.shape[1]), 0), axis=-1)
    place = np.empty(within.shape, dtype=np.intp)
    np.put_along_axis(place, np.argsort(within, axis=-1, kind="stable"), first, axis=-1)
    place = place.reshape(edges.shape)
    return place[..., :-1], place[..., 1:]
