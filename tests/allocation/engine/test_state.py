"""Where an experiment stands."""

from dataclasses import replace

import numpy as np
import pytest

from allocation.engine import Settings
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
    ("days", "mismatch", "state"),
    [([14, 14, 14], False, "decided"), ([14, 14, 13], False, "leader"), ([14, 14, 14], True, "leader")],
)
def test_state_of__decided__wants_two_weeks_of_each_and_no_mismatch(
    days: list[int], mismatch: bool, state: str
) -> None:
    answer = allocate_counts([[10_000] * 3] * 14, [[50, 60, 59.9]] * 14, settings=Settings(exploitation=1))
    sure = replace(answer, value_remaining=0.0, probability_best=np.array([0.0, 0.96, 0.04]))

    assert state_of(sure, days, mismatch=mismatch) == state


def test_state_of__variant_excluded__keeps_nobody_waiting() -> None:
    answer = allocate_counts([[10_000] * 3], [[700, 950, 700]])
    sure = replace(
        answer, probability_best=np.array([0.0, 0.9995, 0.0005]), low_evidence=np.array([False, False, True])
    )
    unsure = replace(sure, probability_best=np.array([0.0, 0.998, 0.002]))

    assert state_of(sure, [20, 20, 1]) == "decided"
    assert state_of(unsure, [20, 20, 20]) == "optimizing"


@pytest.mark.parametrize(
    ("trials", "days", "state"), [(100, 3, "collecting"), (10_000, 13, "leader"), (10_000, 14, "decided")]
)
def test_state_of__one_variant__waits_for_no_second(trials: int, days: int, state: str) -> None:
    answer = allocate_counts([[trials]], [[50]])

    assert state_of(answer, days) == state


def test_state_of__one_variant_without_data_in_the_window__is_collecting() -> None:
    answer = allocate_counts([[10_000, 0]], [[500, 0]], active=np.array([False, True]), control=None)

    assert (state_of(answer, 14), answer.shares.tolist(), answer.bound[1]) == ("collecting", [0, 1], "none")
