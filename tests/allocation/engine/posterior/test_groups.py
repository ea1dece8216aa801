"""Five posteriors decide together."""

import numpy as np
import pytest

from allocation.engine.posterior.groups import contest_of_groups
from allocation.engine.posterior.probability_best import contest
from allocation.engine.posterior.value_remaining import value_remaining


def posteriors(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Six experiments of five groups, some groups alike, the last variant absent in half of them."""
    rng = np.random.default_rng(seed)
    alpha, beta = 1 + rng.gamma(20, 2, (6, 5, 4)), 1 + rng.gamma(400, 2, (6, 5, 4))
    alpha[::2, 1:4], beta[::2, 1:4] = alpha[::2, :1], beta[::2, :1]
    return alpha, beta, np.broadcast_to(np.arange(4) < np.array([[3], [4]] * 3), (6, 4))


def test_contest_of_groups__any_groups__is_the_average_of_their_contests() -> None:
    alpha, beta, present = posteriors(1)

    answer = contest_of_groups(alpha, beta, present)

    each = contest(alpha, beta, np.repeat(present[:, None], 5, axis=1))
    np.testing.assert_allclose(answer.probability_best, each.probability_best.mean(axis=1), atol=1e-12)
    np.testing.assert_allclose(answer.expected_loss, each.expected_loss.mean(axis=1), atol=1e-12)
    assert len(answer.alpha) == 3 * 2 + 3 * 5


def test_value_remaining__of_groups__is_the_average() -> None:
    alpha, beta, present = posteriors(2)
    answer = contest_of_groups(alpha, beta, present)
    lead = answer.probability_best.argmax(axis=1)

    remaining = answer.value_remaining(lead)

    each = value_remaining(alpha[1], beta[1], np.repeat(present[1][None], 5, axis=0), [lead[1]] * 5)
    assert remaining.shape == (6,)
    assert remaining[1] == pytest.approx(each.mean(), rel=1e-8)
