"""Which settings lost least, and whether that is more than chance."""

import numpy as np
import pytest

from allocation.engine.lab.recommendation import ratio, recommend, total


def test_total__by_hand() -> None:
    found = total(np.array([1.0, 2.0, 3.0, 6.0]))

    # deviations from 3: -2, -1, 0, 3; variance 14 / 3; error sqrt(4) * sqrt(14 / 3)
    assert found.value == 12
    assert found.standard_error == pytest.approx(2 * np.sqrt(14 / 3))
    assert (found.low, found.high) == pytest.approx((12 - 1.96 * 4.3205, 12 + 1.96 * 4.3205), rel=1e-4)
    assert found.is_clear


def test_total__one_test__is_never_clear() -> None:
    assert not total(np.array([1e9])).is_clear


def test_ratio__in_proportion_in_every_test__has_no_error() -> None:
    even = np.array([10.0, 20.0, 70.0])

    found = ratio(0.5 * even, even)

    assert found is not None
    assert found == pytest.approx((0.5, 0))
    assert ratio(np.zeros(3), np.zeros(3)) is None


def test_ratio__many_samples__spread_as_the_error_says() -> None:
    rng = np.random.default_rng(3)
    even = rng.gamma(2, 10, (2000, 200))
    regret = even * rng.uniform(0.2, 1.0, even.shape)

    found = [ratio(a, b) for a, b in zip(regret, even, strict=True)]

    errors = [estimate.standard_error for estimate in found if estimate]
    assert np.mean(errors) == pytest.approx(np.std([e.value for e in found if e]), rel=0.06)


def test_recommend__least_regret__with_those_within_noise() -> None:
    rng = np.random.default_rng(4)
    even = rng.uniform(50, 100, 100)
    regrets = np.stack([even, 0.5 * even, 0.5 * even + rng.normal(0.1, 5, 100)])

    found = recommend(regrets)

    assert found.best == 1
    assert found.level == [2]
    assert found.lead[0].value == pytest.approx(0.5 * even.sum())
    assert found.lead[1] == (0, 0)


def test_recommend__order_of_contenders__is_irrelevant() -> None:
    regrets = np.random.default_rng(5).uniform(0, 10, (4, 30))

    straight, reversed_ = recommend(regrets), recommend(regrets[::-1])

    assert reversed_.best == 3 - straight.best
    assert reversed_.lead[::-1] == straight.lead
