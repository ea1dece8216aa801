"""Measure the most CPU that one decision, one simulation by the API and one request of the lab's pages take.

    ./dev bench bounds

A decision prices the gains of all its days, as an experiment's first one does. Simulations are the largest that the
bound of allocation/lab/work.py lets in. To be held: two seconds each. CPU time of one process, BLAS held to one thread.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any
from urllib.parse import urlencode

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bandit_project.settings")
os.environ.setdefault("DEBUG", "true")

import django
import numpy as np

from allocation.engine import History, Request, Settings, allocate_many
from allocation.engine.analysis.gains import new_gains
from allocation.engine.posterior.beta import Floats
from benchmarks.machine import machine
from experiments.exceptions import InvalidError

_DAYS, _VARIANTS = 365, 100
_PRIORS = ((1.0, None), (1e-9, 1e-9), (0.01, 1.0), (0.1, 0.1), (1.0, 0.01), (1e6, 1e-9))
_DEFAULTS: dict[str, Any] = {"daily_traffic": 1000, "days": 60, "scenario": "constant", "stop": None,
                             "policies": ["thompson"], "settings": {}, "seed": 1}  # fmt: skip
_STOP = {"stop": "value-remaining", "days": 40}
_TINY, _SMALL = {"alpha_prior": 1e-9, "beta_prior": 1e-9}, {"alpha_prior": 0.1, "beta_prior": 0.1}
_YEAR = {"days": 365, "settings": {"memory": False}}
_HALF = [0.0] * 5 + [0.05] * 4
_SIMULATIONS: dict[str, dict[str, Any]] = {
    "2 variants, 60 days": {"rates": [0.05, 0.06]},
    "2 variants, 100 days": {"rates": [0.05, 0.06], "days": 100},
    "2 variants, 365 days, no memory": {"rates": [0.05, 0.06], **_YEAR},
    "2 variants, 10^9 visits a day": {"rates": [0.05, 0.06], "days": 30, "daily_traffic": 10**9},
    "10 variants, drifting": {"rates": [0.05] * 10, "scenario": "drift"},
    "100 variants": {"rates": list(np.linspace(0.04, 0.06, 100)), "days": 20},
    "100 variants, priors of 1e-9": {"rates": [0.05] * 100, "days": 20, "settings": _TINY},
    "9 variants, stop": {"rates": [0.05] * 9, **_STOP},
    "9 variants, stop, five at 0, alpha_prior 0.01": {"rates": _HALF, **_STOP, "settings": {"alpha_prior": 0.01}},
    "20 variants, stop, priors of 0.1, 5 visits a day": {
        "rates": [0.5] * 20, **_STOP, "daily_traffic": 5, "settings": {**_SMALL, "min_impressions": 0},
    },
    "2 variants, stop, rates of 1, beta_prior 1e-9": {"rates": [1.0, 1.0], **_STOP, "settings": {"beta_prior": 1e-9}},
}  # fmt: skip


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def histories(rng: np.random.Generator) -> Iterator[tuple[str, Floats, Floats]]:
    """Trials and successes of a year of days and a hundred variants, in many shapes."""
    trials = rng.integers(500, 2000, (_DAYS, _VARIANTS)).astype(np.float64)
    few = rng.integers(1, 6, trials.shape).astype(np.float64)
    dead, place = np.arange(_VARIANTS) % 2 == 0, np.arange(_DAYS)[:, None]
    drift = 0.05 * np.exp(np.cumsum(rng.normal(0, 0.02, trials.shape), axis=0)).clip(0.1, 15)
    swap = np.where(
        place < _DAYS - 30, np.linspace(0.03, 0.07, _VARIANTS), np.linspace(0.07, 0.03, _VARIANTS)
    )
    pairs = trials * np.isin(np.arange(_VARIANTS)[None] - place % (_VARIANTS - 1), (0, 1))
    some = 1e5 * (rng.random(trials.shape) < 0.03).astype(np.float64)
    groups = 800 * trials * np.isin(np.arange(_VARIANTS)[None] - 2 * (place % 7), np.arange(0, _VARIANTS, 14))
    weekly, fortnightly = (
        np.where((place // days + np.arange(_VARIANTS)) % 2, 0.14, 0.07) for days in (7, 14)
    )
    random = np.where(rng.random((_DAYS // 7 + 1, _VARIANTS)) < 0.5, 0.14, 0.07)[place[:, 0] // 7]
    for name, n, rate in (
        ("5% each", trials, 0.05), ("drifting rates", trials, drift), ("rates that swap", trials, swap),
        ("few trials, drifting", few, drift), ("half never succeed", trials, np.where(dead, 0.0, 0.05)),
        ("half never succeed, drifting", trials, np.where(dead, 0.0, drift)),
        ("few, half never succeed, drifting", few, np.where(dead, 0.0, drift)), ("no success", trials, 0.0),
        ("all succeed", trials, 1.0), ("half always succeed", few, np.where(dead, 1.0, 0.99)),
        ("two variants a day", pairs, 0.05), ("10^9 trials", trials * 1e6, drift),
        ("swap each week", 8 * trials, weekly), ("swap every two weeks", 8 * trials, fortnightly),
        ("swap each week, three variants a day", some, weekly), ("others each week, seven a day", groups, random),
    ):  # fmt: skip
        yield name, n, rng.binomial(n.astype(np.int64), np.broadcast_to(rate, n.shape)).astype(np.float64)


def decisions() -> Iterator[tuple[float, str]]:
    """CPU time of each decision, and what it was."""
    days, active = np.arange(_DAYS) + 1, np.ones(_VARIANTS, dtype=bool)
    for (name, n, o), (alpha, beta) in product(histories(np.random.default_rng(1)), _PRIORS):
        own = Settings(alpha_prior=alpha, beta_prior=beta, min_impressions=0)
        asked = Request(History(days, n, n, o), _DAYS + 1, active, 0, np.full(_VARIANTS, np.nan), own)
        yield seconds(partial(_decide, asked)), f"{name}; priors {alpha:g}, {beta}"


def _decide(asked: Request) -> None:
    (decision,) = allocate_many([asked])
    new_gains(decision, asked.settings)


def largest(values: dict[str, Any]) -> tuple[int, float]:
    """The most runs that are let in, and their CPU time."""
    from allocation.lab.requests import run_simulation  # once django is set up

    runs, took = 1, 0.0
    low, high = 0, 50_000
    while low < high:
        runs = (low + high + 1) // 2
        low, high = (runs, high) if _is_let_in({**values, "runs": runs}) else (low, runs - 1)
    if low:
        took = seconds(lambda: run_simulation({**values, "runs": low}))
    return low, took


def _is_let_in(values: dict[str, Any]) -> bool:
    from allocation.lab.requests import refuse_large_simulation

    try:
        refuse_large_simulation(values)
    except InvalidError:
        return False
    return True


_PAGES = {
    "simulator, close race": ("simulator", {"rates": "4 4.2 4.4", "daily_traffic": "3000", "days": "60", "runs": "100",
                                            "b_window_days": "14"}),
    "planner, 10 variants": ("planner", {"base_rate": "5", "uplift": "20", "daily_traffic": "1000", "variants": "10"}),
    "backtest, the sample": ("backtest", {"days": "14", "runs": "1", "seed": "1"}),
}  # fmt: skip


def requests_of_a_page(name: str, asked: dict[str, str]) -> list[float]:
    """CPU time of each request that a computation takes."""
    from django.http import QueryDict

    from allocation.engine.lab.tape import Tape
    from dashboard.lab.parts import Pace, PausedError
    from dashboard.lab.views import TOOLS

    tool = next(tool for tool in TOOLS if tool.name == name)
    tape, took = Tape(), list[float]()
    while True:
        start = time.process_time()
        try:
            question = tool.ask(_valid(tool.form.of(QueryDict(urlencode(asked)))))
            tool.show(question, question.run(Pace(tape), tape))
        except PausedError:
            tape = Tape(tape.numbers())
            continue
        else:
            return took
        finally:
            took.append(time.process_time() - start)


def _valid(form: Any) -> Any:
    if not form.is_valid():
        raise ValueError(form.errors)
    return form


def main() -> int:
    django.setup()
    print(machine(), flush=True)
    found = sorted(decisions(), reverse=True)
    print(f"{len(found)} decisions of {_VARIANTS} variants and {_DAYS} days; the slowest, in seconds of CPU:")
    for took, name in found[:5]:
        print(f"  {took:5.2f}  {name}")
    print("the largest simulations that the API computes:")
    for name, own in _SIMULATIONS.items():
        runs, took = largest({**_DEFAULTS, **own})
        print(f"  {took:5.2f}  {name}: {runs:,} runs", flush=True)
    print("the requests of a computation on a page:")
    for name, (page, asked) in _PAGES.items():
        print(f"  {name}: {', '.join(f'{each:.2f}' for each in requests_of_a_page(page, asked))}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
