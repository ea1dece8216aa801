"""On which day did a series, such as a variant's chance of being the best, first pass a level?"""

import numpy as np

from allocation.engine.posterior.beta import Floats


def first_passed(series: Floats, level: float) -> int | None:
    """The index of the first value of at least ``level``, such as the leader's probability_best, or None."""
    passed = np.flatnonzero(np.asarray(series) >= level)
    return int(passed[0]) if passed.size else None
