"""The day on which a series first passed a level."""

import numpy as np

from allocation.engine.analysis.convergence import first_passed


def test_first_passed__rising_series__is_the_first_index() -> None:
    assert first_passed(np.array([0.5, 0.94, 0.95, 0.2, 0.99]), level=0.95) == 2
    assert first_passed(np.array([0.5, 0.6]), level=0.6) == 1
    assert first_passed(np.array([0.5]), level=0.95) is None
