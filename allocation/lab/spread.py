"""Backtests on workers of other machines: a policy each.

Each policy draws from a generator of its own, so that the numbers are those of one process.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from allocation.engine.lab.backtest import PastTest, backtest
from allocation.engine.lab.policies import POLICIES
from allocation.engine.lab.report import BacktestResult, Played, compared, generator_of
from allocation.engine.settings import Settings
from experiments.workers import NoWorkersError, ask_workers

TASK = "backtest"
_COLUMNS = ("impressions", "clicks", "values", "squares")


def backtest_by_workers(
    names: Sequence[str], tests: Sequence[PastTest], settings: Settings, seed: int, *, days: int, runs: int
) -> dict[str, BacktestResult]:
    """Play each policy, and an even split to compare with, as backtest_policies does; raise NoWorkersError."""
    played = list(dict.fromkeys([*names, "even"]))
    world = {"tests": [_sent(test) for test in tests], "settings": asdict(settings), "seed": seed}
    questions = [{"name": name, **world, "days": days, "runs": runs} for name in played]
    results: dict[str, Played] = {}
    for done in ask_workers(TASK, questions):
        if done.problem:
            raise NoWorkersError(f"a worker failed: {done.problem}")
        results[played[done.place]] = Played(*done.result)
    return compared(results, names)


def play_policy(
    name: str, tests: list[dict[str, Any]], settings: dict[str, Any], seed: int, days: int, runs: int
) -> list[float]:
    """Play one policy in a worker, and return Played as a list."""
    found = [_received(test) for test in tests]
    rng = generator_of(seed, name)
    result = backtest(found, POLICIES[name], Settings(**settings), rng, days=days, runs=runs)
    return list(Played.of(result))


def _sent(test: PastTest) -> dict[str, list[float] | None]:
    columns = {name: getattr(test, name) for name in _COLUMNS}
    return {name: None if column is None else column.tolist() for name, column in columns.items()}


def _received(test: Mapping[str, Any]) -> PastTest:
    columns: dict[str, Any] = {
        name: None if given is None else np.array(given) for name, given in test.items()
    }
    return PastTest(**columns)
