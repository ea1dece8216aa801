"""The work of a simulation, estimated before it is begun."""

import pytest

from allocation.engine import Settings
from allocation.lab.work import work, work_of_policies

ALL, NO_MEMORY, TWO_WEEKS = Settings(), Settings(memory=False), Settings(window_days=14)


def test_work__more_of_anything__is_more() -> None:
    plain = work(ALL, 4, 60)

    assert work(ALL, 5, 60) > plain
    assert work(ALL, 4, 61) > plain
    assert work(ALL, 4, 60, watch=True) > plain
    assert work(ALL, 4, 60, stop=True) > work(ALL, 4, 60, watch=True)
    assert work(NO_MEMORY, 4, 60) < plain
    assert work(TWO_WEEKS, 4, 60) < plain


def test_work__memory__grows_with_the_square_of_the_history() -> None:
    assert work(ALL, 4, 730) - work(ALL, 4, 729) == pytest.approx(work(ALL, 4, 800) - work(ALL, 4, 799))
    day_365, day_60 = (work(ALL, 4, day + 1) - work(ALL, 4, day) for day in (365, 60))
    # measured for one variant on one day: about 1.9 and 0.11 milliseconds
    assert day_365 / 4 == pytest.approx(2000, rel=0.1)
    assert day_60 / 4 == pytest.approx(130, rel=0.2)


def test_work__rules_that_ask_for_no_evidence__are_cheap_unless_watched() -> None:
    assert work(ALL, 4, 60, policy="even") < 0.05 * work(ALL, 4, 60)
    assert work(ALL, 4, 60, policy="ucb1", stop=True) == work(ALL, 4, 60, stop=True)


def test_work_of_policies__sum() -> None:
    assert work_of_policies(["thompson", "even"], ALL, 3, 30) == work(ALL, 3, 30) + work(
        ALL, 3, 30, policy="even"
    )
