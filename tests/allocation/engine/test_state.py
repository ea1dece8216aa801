"""Where an experiment stands."""

import numpy as np
import pytest

from allocation.engine.state import state_of
from tests.allocation.engine.factories import allocate_counts


@pytest.mark.parametrize(
    ("trials", "successes", "days", "state"),
    [
        ([100, 100], [5, 9], 1, "collecting"),
        ([10_000, 0], [500, 0], 1, "collecting"),
        ([10_000, 10_000], [500, 510], 3, "optimizing"),
        ([10_000, 10_000], [500, 565], 3, "leader"),
        ([10_000, 10_000], [700, 950], 13, "leader"),
        ([10_000, 10_000], [700, 950], 14, "decided"),
    ],
)
def test_state_of__evidence_and_days(
    trials: list[float], successes: list[float], days: int, state: str
) -> None:
    answer = allocate_counts([trials], [successes])

    assert state_of(answer, days) == state


@pytest.mark.parametrize(
    ("trials", "days", "state"), [(100, 3, "collecting"), (10_000, 13, "leader"), (10_000, 14, "decided")]
)
def test_state_of__one_variant__waits_for_no_second(trials: int, days: int, state: str) -> None:
    answer = allocate_counts([[trials]], [[50]])

    assert state_of(answer, days) == state


def test_state_of__one_variant_without_data_in_the_window__is_collecting() -> None:
    answer = allocate_counts([[10_000, 0]], [[500, 0]], active=np.array([False, True]), control=None)

    assert (state_of(answer, 14), answer.shares.tolist(), answer.bound[1]) == ("collecting", [0, 1], "none")
