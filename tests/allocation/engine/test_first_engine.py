"""Decisions that the first engine made, computed again by its rules."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from allocation.engine import History, Request, allocate_many
from allocation.engine.settings import recorded_settings
from allocation.engine.state import state_of

# Fourteen requests of every shape and what the first engine answered.
VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "vectors" / "first_engine.json").read_text()
)


def request_of(vector: dict[str, Any]) -> Request:
    k = len(vector["active"])
    trials, successes = (np.reshape(vector[name], (-1, k)).astype(float) for name in ("trials", "successes"))
    days = np.array(vector["days"], dtype=np.int64)
    return Request(
        history=History(days, trials, trials, successes, vector["earlier_impressions"]),
        target_day=vector["target_day"],
        active=np.array(vector["active"]),
        control=vector["control"],
        previous=np.array(vector["previous"], dtype=float),
        settings=recorded_settings(vector["settings"], "1"),
        engine_version="1",
    )


@pytest.mark.parametrize("together", [False, True])
def test_allocate_many__of_the_first_engine__finds_no_difference(together: bool) -> None:
    requests = [request_of(vector) for vector in VECTORS]

    answers = allocate_many(requests) if together else [allocate_many([one])[0] for one in requests]

    for answer, vector in zip(answers, VECTORS, strict=True):
        for name, expected in vector["answer"].items():
            got = getattr(answer, name)
            if name == "bound":
                assert list(got) == expected
            elif name == "shares":
                assert got.tolist() == expected
            else:
                wanted = np.array(expected, dtype=float)
                np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-9, err_msg=name)
        assert {days: state_of(answer, int(days)) for days in vector["state"]} == vector["state"]


def test_allocate_many__both_engines_in_one_batch__each_by_its_rules() -> None:
    first = request_of(VECTORS[2])
    second = Request(**{**vars(first), "engine_version": "2"})

    mixed = allocate_many([first, second])

    assert [one.engine_version for one in mixed] == ["1", "2"]
    np.testing.assert_allclose(mixed[0].alpha, VECTORS[2]["answer"]["alpha"], rtol=1e-9)
    np.testing.assert_allclose(mixed[1].alpha, allocate_many([second])[0].alpha, rtol=1e-9)
