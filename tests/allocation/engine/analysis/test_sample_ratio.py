"""Whether visitors arrive as the allocation says."""

import numpy as np
import pytest
from scipy import stats

from allocation.engine.analysis.sample_ratio import chi_square_tail, sample_ratio


@pytest.mark.parametrize("freedom", [1, 2, 3, 10, 99])
@pytest.mark.parametrize("value", [0.0, 0.01, 1.0, 3.84, 30.0, 120.0, 700.0])
def test_chi_square_tail__any_value__agrees_with_scipy(value: float, freedom: int) -> None:
    expected = float(stats.chi2.sf(value, freedom))

    assert chi_square_tail(value, freedom) == pytest.approx(expected, rel=1e-9, abs=1e-13)


def test_sample_ratio__constant_shares__is_pearsons_test() -> None:
    impressions = np.array([[5100.0, 4900.0], [2450.0, 2550.0]])

    answer = sample_ratio(impressions, np.full((2, 2), 0.5))

    assert answer is not None
    assert answer.chi_square == pytest.approx(50**2 / 7500 * 2)
    assert answer.degrees_of_freedom == 1
    assert answer.p_value == pytest.approx(float(stats.chisquare([7550, 7450]).pvalue))
    assert not answer.mismatch


def test_sample_ratio__one_of_four_loses_five_percent__is_a_mismatch() -> None:
    impressions = np.tile([25_000.0, 25_000, 25_000, 23_750], (14, 1))

    answer = sample_ratio(impressions, np.full((14, 4), 0.25))

    assert answer is not None
    assert answer.mismatch
    assert answer.degrees_of_freedom == 3


def test_sample_ratio__shares_that_move__uses_each_days_own() -> None:
    shares = np.array([[0.5, 0.5], [0.1, 0.9]])

    answer = sample_ratio(np.array([[500.0, 500.0], [1000.0, 9000.0]]), shares)

    assert answer is not None
    assert answer.expected.tolist() == [1500, 9500]
    assert answer.chi_square == pytest.approx(0)
    assert answer.p_value == pytest.approx(1)


def test_sample_ratio__few_visitors__raises_no_alarm() -> None:
    answer = sample_ratio(np.array([[0.0, 8.0]]), np.array([[0.55, 0.45]]))

    assert answer is not None
    assert not answer.mismatch


def test_sample_ratio__variant_without_a_share__is_left_out() -> None:
    answer = sample_ratio(np.array([[510.0, 490.0, 70.0]]), np.array([[0.5, 0.5, 0.0]]))

    assert answer is not None
    assert answer.degrees_of_freedom == 1
    assert answer.observed.tolist() == [510, 490, 0]


@pytest.mark.parametrize("shares", [[[1.0, 0.0]], [[0.0, 0.0]]])
def test_sample_ratio__nothing_to_compare__is_none(shares: list[list[float]]) -> None:
    assert sample_ratio(np.array([[10.0, 0.0]]), np.array(shares)) is None
    assert sample_ratio(np.zeros((0, 2)), np.zeros((0, 2))) is None
