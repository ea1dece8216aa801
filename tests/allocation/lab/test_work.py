"""The work of a simulation, estimated before it is begun."""

from typing import Any

import pytest

from allocation.engine import Settings
from allocation.lab.work import MOST_MICROSECONDS, MOST_OF_A_STEP, Work, work, work_of_policies

ALL, NO_MEMORY, TWO_WEEKS = Settings(), Settings(memory=False), Settings(window_days=14)


def microseconds(*arguments: Any, **more: Any) -> float:
    return work(*arguments, **more).of(100)


def test_work__more_of_anything__is_more() -> None:
    plain = microseconds(ALL, 4, 60)

    assert microseconds(ALL, 5, 60) > plain
    assert microseconds(ALL, 4, 61) > plain
    assert microseconds(ALL, 4, 60, watch=True) > plain
    assert microseconds(ALL, 4, 60, stop=True) > microseconds(ALL, 4, 60, watch=True)
    assert microseconds(NO_MEMORY, 4, 60) < plain
    assert microseconds(TWO_WEEKS, 4, 60) < plain


def test_work__small_priors__are_more_most_of_all_with_a_stop() -> None:
    small = Settings(alpha_prior=1e-9)

    assert work(small, 4, 60).each > work(ALL, 4, 60).each
    assert work(small, 4, 60, stop=True).each > 3 * work(ALL, 4, 60, stop=True).each
    assert work(Settings(beta_prior=0.1), 4, 60).each == work(small, 4, 60).each


def test_work__memory__grows_with_the_square_of_the_history() -> None:
    def day(after: int) -> float:
        return work(ALL, 4, after + 1).each - work(ALL, 4, after).each

    assert day(729) == pytest.approx(day(799))
    # measured for one variant on one day: about 1.9 and 0.11 milliseconds
    assert day(365) / 4 == pytest.approx(2000, rel=0.1)
    assert day(60) / 4 == pytest.approx(130, rel=0.2)


def test_work__one_run__costs_numpys_calls_for_each_day() -> None:
    one, two = (work(ALL, 2, 60).of(runs) for runs in (1, 2))

    assert one > 20 * (two - one)


def test_runs_within__are_as_many_as_fit() -> None:
    found = Work(once=100, each=20)

    assert [found.runs_within(most) for most in (50, 119, 120, 200)] == [0, 0, 1, 5]
    assert found.of(5) == 200


def test_runs_of_a_page__are_bounded_by_the_longest_day_of_all_runs_too() -> None:
    few_long_days, many_short_days = Work(once=0, each=1000, day=500), Work(once=0, each=1000, day=10)

    assert few_long_days.runs_of_a_page() == MOST_OF_A_STEP / 500
    assert many_short_days.runs_of_a_page() == MOST_MICROSECONDS / 1000


def test_work__longest_day__is_the_last_one() -> None:
    assert work(ALL, 4, 60).day == pytest.approx(work(ALL, 4, 60).each - work(ALL, 4, 59).each)


def test_work__rules_that_ask_for_no_evidence__are_cheap_unless_watched() -> None:
    assert microseconds(ALL, 4, 60, policy="even") < 0.05 * microseconds(ALL, 4, 60)
    assert work(ALL, 4, 60, policy="ucb1", stop=True) == work(ALL, 4, 60, stop=True)


def test_work_of_policies__sum() -> None:
    both = work_of_policies(["thompson", "even"], ALL, 3, 30).of(10)

    assert both == pytest.approx(work(ALL, 3, 30).of(10) + work(ALL, 3, 30, policy="even").of(10))
