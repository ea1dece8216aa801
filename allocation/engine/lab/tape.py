"""A long computation in several parts: the decisions of the parts before are not made again.

The rest of a simulation follows from its seed and takes next to no time, so that a computation may end in the middle
and be played again from its beginning, to the same numbers, by somebody who has nothing but its decisions.
"""

from collections.abc import Callable

import numpy as np

from allocation.engine.posterior.beta import Floats


class Tape:
    """Numbers in the order in which they were computed. Those ``given`` are read, later ones are computed and added."""

    def __init__(self, given: Floats | None = None) -> None:
        self._given = np.zeros(0) if given is None else given
        self._read = 0
        self._added: list[Floats] = []

    @property
    def has_grown(self) -> bool:
        """Check whether all that was given has been read, and something new was computed."""
        return bool(self._added)

    def once(self, shape: tuple[int, ...], compute: Callable[[], Floats]) -> Floats:
        """Read an array of this shape, or compute it; ValueError where what was given is of something else."""
        if self._read == len(self._given):
            found = np.asarray(compute(), dtype=np.float64)
            self._added.append(found.ravel())
            return found
        end = self._read + int(np.prod(shape))
        read, self._read = self._given[self._read : end].reshape(shape), end
        return read

    def numbers(self) -> Floats:
        return np.concatenate([self._given, *self._added])
