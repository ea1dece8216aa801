"""Splits of a day's traffic by each rule."""

import numpy as np
import pytest

from allocation.engine.batch import Counts, SettingsArrays
from allocation.engine.lab.policies import POLICIES, EpsilonGreedy, Greedy, TopTwo, Ucb1
from allocation.engine.settings import Settings
from tests.allocation.engine.factories import allocate_counts


def make_counts(trials: list[float], successes: list[float]) -> Counts:
    k = len(trials)
    return Counts(
        trials=np.array([[trials]], dtype=float),
        successes=np.array([[successes]], dtype=float),
        impressions_so_far=np.array([sum(trials)]),
        active=np.ones((1, k), dtype=bool),
        control=np.arange(k)[None] == 0,
        previous=np.full((1, k), np.nan),
        settings=SettingsArrays.of([Settings()]),
    )


COUNTS = make_counts([10_000, 10_000, 10_000], [500, 560, 530])


def test_thompson__counts__is_what_production_decides() -> None:
    expected = allocate_counts([[10_000, 10_000, 10_000]], [[500, 560, 530]]).shares

    assert POLICIES["thompson"].shares(COUNTS)[0].tolist() == expected.tolist()


def test_even__counts__ignores_them() -> None:
    assert POLICIES["even"].shares(COUNTS)[0] == pytest.approx([1 / 3] * 3)


def test_greedy__counts__gives_all_to_the_highest_rate() -> None:
    assert Greedy().shares(COUNTS)[0].tolist() == [0, 1, 0]


def test_epsilon_greedy__counts__explores_by_epsilon() -> None:
    assert EpsilonGreedy(epsilon=0.3).shares(COUNTS)[0] == pytest.approx([0.1, 0.8, 0.1])


def test_ucb1__untried_variants__come_first() -> None:
    assert Ucb1().shares(make_counts([10, 0, 0], [1, 0, 0]))[0].tolist() == [0, 0.5, 0.5]


def test_ucb1__little_tried__is_given_the_benefit_of_the_doubt() -> None:
    counts = make_counts([10_000, 100], [500, 4])

    assert Ucb1().shares(counts)[0].tolist() == [0, 1]
    assert Ucb1(width=1e-9).shares(counts)[0].tolist() == [1, 0]


def test_top_two__half_leading__matches_draws_of_the_rule() -> None:
    rng = np.random.default_rng(5)
    draws = rng.beta(COUNTS.successes[0, 0] + 1, 10_001 - COUNTS.successes[0, 0], (200_000, 3))
    best = np.bincount(draws.argmax(axis=1), minlength=3) / 200_000
    # the challenger: the one that wins when the leader is drawn out of the contest by drawing again
    challenger = [sum(best[j] * best[i] / (1 - best[j]) for j in range(3) if j != i) for i in range(3)]

    shares = TopTwo().shares(COUNTS)[0]

    assert shares == pytest.approx((best + challenger) / 2, abs=0.006)
    assert TopTwo(leading=1.0).shares(COUNTS)[0] == pytest.approx(best, abs=0.006)


def test_top_two__certain_leader__still_gives_half_to_the_challengers() -> None:
    shares = TopTwo().shares(make_counts([10_000_000] * 3, [1_000_000, 500_000, 400_000]))[0]

    assert np.isfinite(shares).all()
    assert shares[0] == pytest.approx(0.5, abs=0.01) or shares[0] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize(
    ("trials", "successes"), [([0, 0], [0, 0]), ([5, 0], [5, 0]), ([9e9, 9e9], [1, 4e9])]
)
def test_policies__any_counts__sum_to_one(name: str, trials: list[float], successes: list[float]) -> None:
    shares = POLICIES[name].shares(make_counts(trials, successes))

    assert shares.shape == (1, 2)
    assert (shares >= 0).all()
    assert shares.sum() == pytest.approx(1)
