"""How the probability of the regimes' starts is handed on from day to day."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation.engine.evidence.day_worth import log_worth, pairs_of
from allocation.engine.evidence.earlier_day_worth import worth_of_days
from allocation.engine.evidence.regimes import masses_in_logs, regime_masses
from allocation.engine.posterior.beta import Floats

SEED = st.integers(0, 2**32 - 1)


def in_logs(worth: Floats, days: int) -> Floats:
    """The masses (T,) of one experiment by logarithms alone, from its worth (P + 1,)."""
    first = pairs_of(days).first
    of_days = (worth[None, here:end] for here, end in pairwise(first))
    return shares_of(masses_in_logs(of_days, 1, days)[0])


def shares_of(masses: Floats) -> Floats:
    return np.asarray(masses / masses.sum())


def random_worth(rng: np.random.Generator, days: int, scale: float) -> Floats:
    return np.append(rng.normal(0, scale, days * (days + 1) // 2), 0.0)


def test_regime_masses__two_days__are_weighed_by_the_second() -> None:
    worth = np.array([[7.0, np.log(2), np.log(5), 0.0]])

    # 299 to 1 before the second day, which is worth 2 to 5
    assert shares_of(regime_masses(worth, np.array([2]))[0]) == pytest.approx(np.array([598, 5]) / 603)


@given(seed=SEED, days=st.integers(1, 60), scale=st.sampled_from([0.1, 2.0, 50.0, 1e4]))
def test_regime_masses__any_worth__are_those_of_logarithms(seed: int, days: int, scale: float) -> None:
    worth = random_worth(np.random.default_rng(seed), days, scale)

    found = shares_of(regime_masses(worth[None], np.array([days]))[0])

    np.testing.assert_allclose(found, in_logs(worth, days), rtol=1e-9, atol=1e-12)


def test_regime_masses__lost_on_the_last_day_of_a_stride_alone__are_those_of_logarithms() -> None:
    """Day 15 fits the start 3 alone, which fell 740 nats behind before; day 16 begins another regime."""
    days, pairs = 20, pairs_of(20)
    square = np.zeros((days, days))
    square[4:15, 3] = -740 / 11
    square[15, [n for n in range(16) if n != 3]] = -2000
    square[16:, :16] = -20
    worth = np.append(square[pairs.day, pairs.start], 0.0)

    found = shares_of(regime_masses(worth[None], np.array([days]))[0])

    assert found[16] == pytest.approx(0.99, abs=0.001)
    np.testing.assert_allclose(found, in_logs(worth, days), rtol=1e-9, atol=1e-12)


@given(seed=SEED)
def test_regime_masses__masses_lost_in_one_experiment__change_no_bit_of_the_others(seed: int) -> None:
    rng = np.random.default_rng(seed)
    days = np.sort(rng.integers(1, 50, 4))[::-1]
    worth = np.zeros((4, pairs_of(int(days[0])).first[-1] + 1))
    for row, count in zip(worth, days, strict=True):
        row[: pairs_of(int(count)).first[-1]] = random_worth(rng, int(count), rng.choice([1.0, 500.0]))[:-1]

    together = regime_masses(worth, days)

    for row, found, count in zip(worth, together, days, strict=True):
        size = pairs_of(int(count)).first[-1]
        alone = regime_masses(np.append(row[:size], 0.0)[None], np.array([count]))[0]
        assert shares_of(found[:count]).tolist() == shares_of(alone).tolist()
        assert not found[count:].any()


@given(seed=SEED, days=st.integers(1, 40), k=st.integers(1, 12))
def test_log_worth__any_counts__is_what_the_rules_before_found(seed: int, days: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    trials = np.floor(10 ** rng.uniform(0, rng.choice([2, 6]), (1, days, k)))
    successes = np.floor(trials * rng.random(k) ** rng.choice([1, 5]))

    worth, first = log_worth(trials, successes)[0], pairs_of(days).first

    for day, before in enumerate(worth_of_days(trials, successes, np.array([days]))):
        np.testing.assert_allclose(worth[first[day] : first[day + 1]], before[0], rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize(("size", "days", "k"), [(300, 60, 4), (40, 30, 30), (3, 180, 100)])
def test_log_worth__many_experiments_at_once__is_to_the_last_bit_what_each_is_alone(
    size: int, days: int, k: int
) -> None:
    rng = np.random.default_rng(1)
    trials = np.floor(10 ** rng.uniform(1, 4, (size, days, k)))
    successes = rng.binomial(trials.astype(np.int64), 0.05).astype(np.float64)

    together = log_worth(trials, successes)

    for one in (0, 1, size - 1):
        alone = log_worth(trials[one : one + 1], successes[one : one + 1])[0]
        np.testing.assert_array_equal(together[one], alone)
