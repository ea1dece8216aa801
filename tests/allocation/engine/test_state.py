"""Where an experiment stands."""

import numpy as np
import pytest

from allocation.engine.state import sentence, state_of
from tests.allocation.engine.factories import allocate_counts

NAMES = ["control", "green"]


@pytest.mark.parametrize(
    ("trials", "successes", "days", "state", "words"),
    [
        ([100, 100], [5, 9], 1, "collecting", "Not enough data"),
        ([10_000, 0], [500, 0], 1, "collecting", "at least two variants"),
        ([10_000, 10_000], [500, 510], 3, "optimizing", "No clear winner yet: green is in front with a 62"),
        ([10_000, 10_000], [500, 565], 3, "leader", "green leads with a 98.0% chance"),
        ([10_000, 10_000], [700, 950], 13, "leader", "little is left to gain"),
        ([10_000, 10_000], [700, 950], 14, "decided", "green can be chosen: with 95% probability"),
    ],
)
def test_state_of__and_its_sentence(
    trials: list[float], successes: list[float], days: int, state: str, words: str
) -> None:
    answer = allocate_counts([trials], [successes])

    found = state_of(answer, days)

    assert found == state
    assert words in sentence(found, answer, NAMES)


def test_sentence__hardly_any_successes__does_not_name_an_absurd_percentage() -> None:
    few, none = allocate_counts([[10_000, 10_000]], [[0, 1]]), allocate_counts([[600] * 3], [[0] * 3])

    assert "up to 3.5 times as good" in sentence(state_of(few, 3), few, NAMES)
    assert "many times as good" in sentence(state_of(none, 3), none, [*NAMES, "blue"])


@pytest.mark.parametrize(
    ("trials", "days", "state"), [(100, 3, "collecting"), (10_000, 13, "leader"), (10_000, 14, "decided")]
)
def test_state_of__one_variant__waits_for_no_second(trials: int, days: int, state: str) -> None:
    answer = allocate_counts([[trials]], [[50]])

    found = state_of(answer, days)

    assert found == state
    assert sentence(found, answer, ["control"]) == "control is the only active variant and gets all traffic."


def test_state_of__one_variant_without_data_in_the_window__is_collecting() -> None:
    answer = allocate_counts([[10_000, 0]], [[500, 0]], active=np.array([False, True]), control=None)

    assert (state_of(answer, 14), answer.shares.tolist(), answer.bound[1]) == ("collecting", [0, 1], "none")
