"""Which days count."""

import numpy as np
import pytest

from allocation.engine.evidence.window import History, select_window
from tests.allocation.engine.factories import make_history

THIRTY_DAYS = make_history([[100.0, 200.0]] * 30, [[10.0, 20.0]] * 30)


def test_select_window__plain__is_the_last_days_up_to_the_latest_data() -> None:
    window = select_window(THIRTY_DAYS, target_day=31, window_days=14, maturity_days=0)

    assert (window.start, window.end) == (17, 30)
    assert window.trials.shape == (14, 2)
    assert window.impressions_so_far == 30 * 300


@pytest.mark.parametrize("target_day", [31, 45, 1000])
def test_select_window__late_reporting__gives_the_same_window(target_day: int) -> None:
    assert select_window(THIRTY_DAYS, target_day, 14, 0).end == 30


def test_select_window__data_after_the_target_day__is_not_seen() -> None:
    window = select_window(THIRTY_DAYS, target_day=10, window_days=3, maturity_days=0)

    assert (window.start, window.end) == (8, 10)
    assert window.impressions_so_far == 10 * 300


def test_select_window__maturity__leaves_out_the_latest_days() -> None:
    window = select_window(THIRTY_DAYS, target_day=31, window_days=14, maturity_days=2)

    assert (window.start, window.end) == (15, 28)
    assert window.impressions_so_far == 28 * 300


def test_select_window__rows_without_impressions__do_not_anchor() -> None:
    history = make_history([[100.0, 100.0], [0.0, 0.0]], [[1.0, 1.0], [0.0, 0.0]])

    assert select_window(history, 9, 14, 0).end == 1


def test_select_window__gaps__count_as_days() -> None:
    counts = np.full((3, 1), 10.0)
    history = History(np.array([1, 5, 20]), counts, counts, counts)

    window = select_window(history, 21, 16, 0)

    assert window.start == 5
    assert window.trials.shape == (2, 1)


def test_select_window__earlier_impressions__count_for_the_warm_up_alone() -> None:
    counts = np.full((30, 2), 1.0)
    history = History(THIRTY_DAYS.days, counts, counts, counts, earlier_impressions=500.0)

    window = select_window(history, 31, 14, 0)

    assert window.impressions_so_far == 560
    assert window.trials.sum() == 28


def test_select_window__no_data__has_no_days() -> None:
    window = select_window(make_history([[0.0, 0.0]], [[0.0, 0.0]]), 5, 14, 0)

    assert (window.start, window.end, window.impressions_so_far) == (None, None, 0)
    assert window.trials.shape == (0, 2)
