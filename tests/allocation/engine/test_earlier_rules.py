"""Decisions of the second engine's earlier rules, computed again by them."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation.engine import History, Request, Settings, allocate_many
from tests.allocation.engine.factories import random_request

# Requests of every shape and what rules 5 answered.
VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "vectors" / "rules_5.json").read_text())


def request_of(vector: dict[str, Any]) -> Request:
    k = len(vector["active"])
    trials, successes = (np.reshape(vector[name], (-1, k)).astype(float) for name in ("trials", "successes"))
    return Request(
        history=History(np.array(vector["days"]), trials, trials, successes, vector["earlier_impressions"]),
        target_day=vector["target_day"],
        active=np.array(vector["active"]),
        control=vector["control"],
        previous=np.array(vector["previous"], dtype=float),
        settings=Settings(**vector["settings"]),
        rules=5,
    )


@pytest.mark.parametrize("together", [False, True])
def test_allocate_many__of_rules_5__finds_no_difference(together: bool) -> None:
    requests = [request_of(vector) for vector in VECTORS]

    answers = allocate_many(requests) if together else [allocate_many([one])[0] for one in requests]

    for answer, vector in zip(answers, VECTORS, strict=True):
        expected = dict(vector["answer"])
        assert (answer.shares.tolist(), list(answer.bound)) == (expected.pop("shares"), expected.pop("bound"))
        for name, wanted in expected.items():
            np.testing.assert_allclose(
                getattr(answer, name), np.array(wanted, dtype=float), rtol=1e-9, atol=1e-9, err_msg=name
            )


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 8))
def test_allocate_many__several_rules_in_one_batch__each_as_alone(seed: int, k: int) -> None:
    request = random_request(np.random.default_rng(seed), k)
    requests = [dataclasses.replace(request, rules=rules) for rules in (6, 4, 5, 6)]

    together = allocate_many(requests)

    for answer, own in zip(together, requests, strict=True):
        (alone,) = allocate_many([own])
        for field in dataclasses.fields(answer):
            if field.name != "window":
                assert str(getattr(answer, field.name)) == str(getattr(alone, field.name)), field.name
