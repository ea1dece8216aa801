"""Every variant against the control."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation.engine.analysis.uplift import compare_to_control
from allocation.engine.posterior.probability_best import probability_best


def test_compare_to_control__control_itself__is_not_compared() -> None:
    answer = compare_to_control(np.array([11.0, 13.0]), np.array([90.0, 88.0]), control=0)

    assert answer.uplift[0] == answer.uplift_low[0] == answer.uplift_high[0] == 0
    assert np.isnan(answer.beats_control[0])


def test_compare_to_control__two_uniform_rates__have_the_closed_form() -> None:
    # the ratio of two uniforms is below r < 1 with chance r / 2, below r > 1 with chance 1 - 1 / (2 r)
    answer = compare_to_control(np.ones(2), np.ones(2), control=0)

    assert answer.uplift_low[1] == pytest.approx(0.05 - 1, rel=1e-6)
    assert answer.uplift_high[1] == pytest.approx(20 - 1, rel=1e-6)
    assert answer.uplift[1] == pytest.approx(0)
    assert answer.beats_control[1] == pytest.approx(0.5)


def test_compare_to_control__readme_case__is_clearly_better() -> None:
    answer = compare_to_control(np.array([701.0, 951.0]), np.array([9301.0, 9051.0]), control=0)

    assert answer.uplift[1] == pytest.approx(951 / 701 - 1)
    assert 0.2 < answer.uplift_low[1] < answer.uplift[1] < answer.uplift_high[1] < 0.5
    assert answer.beats_control[1] == pytest.approx(probability_best([951, 701], [9051, 9301])[0])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_compare_to_control__any_posteriors__agrees_with_draws(seed: int) -> None:
    rng = np.random.default_rng(seed)
    trials = 10 ** rng.uniform(1.5, 5, 3)
    alpha, beta = 1 + trials * rng.uniform(0.03, 0.1, 3), 1 + trials * 0.9

    answer = compare_to_control(alpha, beta, control=1)

    draws = rng.beta(alpha, beta, (40_000, 3))
    ratio = draws / draws[:, [1]] - 1
    # four standard errors of a 2.5% point of 40,000 draws
    for bound, level in ((answer.uplift_low, 0.025), (answer.uplift_high, 0.975)):
        assert abs((ratio[:, 0] <= bound[0]).mean() - level) < 0.0032
        assert abs((ratio[:, 2] <= bound[2]).mean() - level) < 0.0032


@pytest.mark.parametrize("control", [0, 1, 2])
def test_compare_to_control__extreme_posteriors__stays_finite_and_ordered(control: int) -> None:
    alpha, beta = np.array([1e-9, 1e12, 5.0]), np.array([1.0, 1e-9, 1e12])

    answer = compare_to_control(alpha, beta, control)

    assert np.isfinite(answer.uplift_high).all()
    assert (answer.uplift_low <= answer.uplift_high).all()
    assert (answer.uplift_low >= -1).all()
