"""The split before any limit."""

import numpy as np
import pytest

from allocation.engine.target import SMALLEST_TARGET, target_shares


def shares_of(
    best: list[float], low: list[bool] | None = None, explore: float = 0.0, power: float = 1.0
) -> list[float]:
    p = np.array([best])
    low_evidence = np.array([low or [False] * len(best)])
    answer = target_shares(p, p >= 0, low_evidence, np.array([[explore]]), np.array([[power]]))
    return [float(share) for share in answer[0]]


def test_target_shares__plain__are_the_probabilities() -> None:
    assert shares_of([0.7, 0.2, 0.1]) == pytest.approx([0.7, 0.2, 0.1])


def test_target_shares__exploration__is_mixed_in() -> None:
    assert shares_of([0.9, 0.1], explore=0.1) == pytest.approx([0.86, 0.14])


def test_target_shares__exploitation__sharpens() -> None:
    assert shares_of([0.6, 0.3, 0.1], power=2) == pytest.approx([0.36 / 0.46, 0.09 / 0.46, 0.01 / 0.46])


def test_target_shares__high_exploitation__does_not_underflow() -> None:
    assert shares_of([1e-9] * 3, power=20) == pytest.approx([1 / 3] * 3)


def test_target_shares__low_evidence__gets_an_even_share_at_most() -> None:
    # the other two divide what is left as 2 to 1
    assert shares_of([0.7, 0.2, 0.1], [True, False, False]) == pytest.approx([1 / 3, 4 / 9, 2 / 9])


def test_target_shares__no_chance__keeps_a_trace() -> None:
    assert shares_of([1.0, 0.0])[1] == SMALLEST_TARGET
