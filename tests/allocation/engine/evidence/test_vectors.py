"""Twelve experiments of kinds that matter, with the answers of the reference (design, section 4)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from allocation.engine.evidence.learned import (
    Evidence,
    EvidenceRules,
    EvidenceSettings,
    evidence_of,
    evidence_of_many,
)
from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.groups import contest_of_groups

Vector = dict[str, Any]
VECTORS: list[Vector] = json.loads(
    (Path(__file__).parents[4] / "benchmarks" / "data" / "evidence_vectors.json").read_text()
)
BY_DAY = {"regime_starts": "regime_start", "weights": "weight"}
BY_VARIANT = ("alpha", "beta", "effective_trials", "evidence_kept")


def counts_of(vector: Vector) -> tuple[Floats, Floats]:
    return np.array(vector["trials"], dtype=float), np.array(vector["successes"], dtype=float)


def check(evidence: Evidence, vector: Vector, order: list[int], days: int | None = None) -> None:
    """``order``: which of the vector's variants stands where; the evidence may have more days and variants than it."""
    for ours, theirs in BY_DAY.items():
        got = getattr(evidence, ours)[: days or len(vector["weight"])]
        np.testing.assert_allclose(got, vector[theirs], rtol=1e-6, atol=1e-9)
    for name in BY_VARIANT:
        got = getattr(evidence, name)[: len(order)]
        np.testing.assert_allclose(got, np.array(vector[name])[order], rtol=1e-6, atol=1e-9)
    assert evidence.phi == pytest.approx(vector["dispersion"], rel=1e-6)
    contest = contest_of_groups(
        evidence.group_alpha[None],
        evidence.group_beta[None],
        np.arange(len(evidence.alpha))[None] < len(order),
    )
    best, loss = contest.probability_best[0, : len(order)], contest.expected_loss[0, : len(order)]
    np.testing.assert_allclose(best, np.array(vector["probability_best"])[order], atol=1e-6)
    np.testing.assert_allclose(loss, np.array(vector["expected_loss"])[order], atol=1e-6)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["kind"])
def test_evidence_of__vectors__agree_to_a_millionth(vector: Vector) -> None:
    evidence = evidence_of(*counts_of(vector), EvidenceSettings())

    check(evidence, vector, list(range(len(vector["alpha"]))))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["kind"])
def test_evidence_of__other_order_of_variants__agrees_as_well(vector: Vector) -> None:
    order = [int(i) for i in np.random.default_rng(1).permutation(len(vector["alpha"]))]
    trials, successes = counts_of(vector)

    evidence = evidence_of(trials[:, order], successes[:, order], EvidenceSettings())

    check(evidence, vector, order)


def test_evidence_of_many__vectors_padded_to_one_batch__agree_as_well() -> None:
    days, variants = max(len(v["trials"]) for v in VECTORS), max(len(v["alpha"]) for v in VECTORS)
    trials, successes = np.zeros((2, len(VECTORS), days, variants))
    for place, vector in enumerate(VECTORS):
        n, o = counts_of(vector)
        trials[place, : len(n), : n.shape[1]], successes[place, : len(o), : o.shape[1]] = n, o

    together = evidence_of_many(trials, successes, EvidenceRules.of([EvidenceSettings()] * len(VECTORS)))

    for place, vector in enumerate(VECTORS):
        check(together.of_experiment(place), vector, list(range(len(vector["alpha"]))))
