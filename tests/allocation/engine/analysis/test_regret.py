"""What an experiment has brought so far."""

import numpy as np
import pytest

from allocation.engine.analysis.regret import first_passed, rewards_by_day


def test_rewards_by_day__moving_split__adds_up() -> None:
    # the leader is worth 0.10 a visit, the other 0.05
    trials, mean = np.array([[100.0, 100.0], [50.0, 150.0]]), np.array([0.05, 0.10])

    rewards = rewards_by_day(trials, mean, lead=1)

    assert rewards.given_up == pytest.approx([5, 7.5])
    assert rewards.gained == pytest.approx([0, 2.5])


def test_rewards_by_day__variant_not_served_yet__is_no_part_of_the_even_split() -> None:
    rewards = rewards_by_day(np.array([[100.0, 0.0], [0.0, 0.0]]), np.array([0.05, 0.10]), lead=1)

    assert rewards.gained == pytest.approx([0, 0])
    assert rewards.given_up == pytest.approx([5, 5])


def test_first_passed__rising_series__is_the_first_index() -> None:
    assert first_passed(np.array([0.5, 0.94, 0.95, 0.2, 0.99]), level=0.95) == 2
    assert first_passed(np.array([0.5, 0.6]), level=0.6) == 1
    assert first_passed(np.array([0.5]), level=0.95) is None
