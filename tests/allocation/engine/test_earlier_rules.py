"""Decisions by several rules of the second engine, computed again by them."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation.engine import History, Request, Settings, allocate_many
from allocation.engine.analysis.gains import new_gains
from tests.allocation.engine.factories import random_request

# Requests of every shape and what these rules answered; some of values, whose squares are known. Since rules 7 with
# the gains, of all trials and of those that were not ``priced``. The last two of rules 7 are answered by rules 8, too:
# values of four regimes, whose orders are worth other amounts, and counts of five, which vary more in the later ones.
VECTORS: dict[int, list[dict[str, Any]]] = {
    rules: json.loads((Path(__file__).parent / "vectors" / f"rules_{rules}.json").read_text())
    for rules in (5, 6, 7, 8)
}


def request_of(vector: dict[str, Any], rules: int) -> Request:
    k = len(vector["active"])
    trials, successes = (np.reshape(vector[name], (-1, k)).astype(float) for name in ("trials", "successes"))
    squares = np.reshape(vector["squares"], (-1, k)) if "squares" in vector else None
    days = np.array(vector["days"], dtype=np.int64)
    return Request(
        history=History(days, trials, trials, successes, vector["earlier_impressions"], squares),
        target_day=vector["target_day"],
        active=np.array(vector["active"]),
        control=vector["control"],
        previous=np.array(vector["previous"], dtype=float),
        settings=Settings(**vector["settings"]),
        rules=rules,
    )


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("rules", sorted(VECTORS))
def test_allocate_many__of_earlier_rules__finds_no_difference(rules: int, together: bool) -> None:
    requests = [request_of(vector, rules) for vector in VECTORS[rules]]

    answers = allocate_many(requests) if together else [allocate_many([one])[0] for one in requests]

    for answer, vector in zip(answers, VECTORS[rules], strict=True):
        expected = dict(vector["answer"])
        assert (answer.shares.tolist(), list(answer.bound)) == (expected.pop("shares"), expected.pop("bound"))
        for name, wanted in expected.items():
            np.testing.assert_allclose(
                getattr(answer, name), np.array(wanted, dtype=float), rtol=1e-9, atol=1e-9, err_msg=name
            )


@pytest.mark.parametrize(("rules", "vector"), [(rules, one) for rules in (7, 8) for one in VECTORS[rules]])
def test_new_gains__of_rules_7_and_8__finds_no_difference(rules: int, vector: dict[str, Any]) -> None:
    request = request_of(vector, rules)
    (decision,) = allocate_many([request])

    gains = new_gains(decision, request.settings)

    assert gains == pytest.approx(tuple(vector["gains"]), rel=1e-9, abs=1e-9)
    if "priced" in vector:
        rest = new_gains(
            decision, request.settings, np.reshape(vector["priced"], decision.window.trials.shape)
        )
        assert rest == pytest.approx(tuple(vector["gains_of_the_rest"]), rel=1e-9, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 8))
def test_allocate_many__several_rules_in_one_batch__each_as_alone(seed: int, k: int) -> None:
    request = random_request(np.random.default_rng(seed), k)
    requests = [dataclasses.replace(request, rules=rules) for rules in (8, 4, 7, 6, 5, 8)]

    together = allocate_many(requests)

    for answer, own in zip(together, requests, strict=True):
        (alone,) = allocate_many([own])
        for field in dataclasses.fields(answer):
            if field.name != "window":
                assert str(getattr(answer, field.name)) == str(getattr(alone, field.name)), field.name
