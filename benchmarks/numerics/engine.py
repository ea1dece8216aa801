"""Measure the speed of the engine, and the cost of being exact beside a Monte Carlo estimate.

    ./dev bench engine [--sweep 10000]

To be held, for four variants on one core: a decision from 120 days 8 ms, from 365 days 40 ms, 10,000 of 120 days 25 s;
value_remaining of a hundred variants milliseconds, whatever they are; the always-valid lifts of a hundred 0.5 s.

CPU time of one core (BLAS held to one thread), the least of several rounds: what the work takes, not what else the
machine had to do. Memory is the peak of the whole process.
"""

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from allocation.engine import (
    History,
    Request,
    Settings,
    allocate,
    allocate_many,
    probability_best,
    value_remaining,
)
from allocation.engine.analysis.always_valid import always_valid_lift
from allocation.engine.posterior.beta import Floats
from benchmarks.machine import machine

_DRAWS = 10_000
_DAYS = 120
_VECTORS = Path(__file__).resolve().parents[1] / "data" / "probability_best_vectors.json"


def monte_carlo(rng: np.random.Generator, alpha: Floats, beta: Floats) -> Floats:
    """Estimate probability_best as most would: draw, and count which variant is highest."""
    winners = rng.beta(alpha, beta, (_DRAWS, len(alpha))).argmax(axis=1)
    return np.bincount(winners, minlength=len(alpha)) / _DRAWS


def monte_carlo_many(rng: np.random.Generator, alpha: Floats, beta: Floats) -> list[Floats]:
    return [monte_carlo(rng, a, b) for a, b in zip(alpha, beta, strict=True)]


def least_seconds(work: Callable[[], object], rounds: int, repeats: int = 1) -> float:
    """Return the CPU time of one call, the least over ``rounds`` of ``repeats`` calls."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        for _ in range(repeats):
            work()
        times.append((time.process_time() - start) / repeats)
    return min(times)


def random_history(rng: np.random.Generator, k: int = 4, days: int = _DAYS) -> History:
    trials = rng.poisson(500, (days, k)).astype(np.float64)
    rates = rng.normal(0.05, 0.004, k) * rng.lognormal(0, 0.2, (days, 1))
    successes = rng.binomial(trials.astype(np.int64), rates.clip(0, 1)).astype(np.float64)
    return History(np.arange(1, days + 1), trials, trials, successes)


def random_request(rng: np.random.Generator) -> Request:
    return Request(random_history(rng), _DAYS + 1, np.ones(4, dtype=bool), 0, np.full(4, 0.25), Settings())


def report_probability_best(rng: np.random.Generator) -> None:
    print("probability_best, batches of 1,000, microseconds for one experiment")
    print(f"{'variants':>10}{'engine':>10}{'10,000 draws':>14}{'times faster':>14}")
    for k in (2, 4, 10):
        trials = np.floor(10 ** rng.uniform(2, 5, (1000, k)))
        successes = rng.binomial(trials.astype(np.int64), 0.05).astype(np.float64)
        alpha, beta = 1 + successes, 1 + trials - successes
        ours = least_seconds(partial(probability_best, alpha, beta), rounds=7) / 1000
        draws = least_seconds(partial(monte_carlo_many, rng, alpha[:20], beta[:20]), rounds=5) / 20
        print(f"{k:10}{ours * 1e6:10.1f}{draws * 1e6:14.1f}{draws / ours:14.1f}")


def report_errors(rng: np.random.Generator) -> None:
    vectors = json.loads(_VECTORS.read_text())
    ours, draws = 0.0, 0.0
    for vector in vectors:
        alpha, beta = np.array(vector["alpha"], dtype=float), np.array(vector["beta"], dtype=float)
        exact = np.array(vector["probability_best"])
        ours = max(ours, float(np.abs(probability_best(alpha, beta) - exact).max()))
        draws = max(draws, float(np.abs(monte_carlo(rng, alpha, beta) - exact).max()))
    print(f"largest error on {len(vectors)} vectors: engine {ours:.1e}, 10,000 draws {draws:.1e}")


def report_decision(rng: np.random.Generator) -> None:
    active, previous, settings = np.ones(4, dtype=bool), np.full(4, 0.25), Settings()

    def decide(histories: list[History], day: int) -> None:
        for history in histories:
            allocate(history, target_day=day, active=active, control=0, previous=previous, settings=settings)

    for days in (14, _DAYS, 365):
        histories = [random_history(rng, days=days) for _ in range(10)]
        seconds = least_seconds(partial(decide, histories, days + 1), rounds=9) / len(histories)
        print(f"one decision, 4 variants, {days} days, counts to shares: {seconds * 1e3:.2f} ms of CPU")


def report_value_remaining(rng: np.random.Generator) -> None:
    """Time a hundred posteriors of kinds that once took the root search all its steps."""
    n = rng.integers(100, 10_000, 100).astype(np.float64)
    half = np.arange(100) % 2 == 0
    kinds = {
        "rates of 5%": (n * 0.05 + 1, n * 0.95 + 1),
        "rates of 1": (n + 1, np.ones(100)),
        "rates of 1, beta_prior 0.01": (n + 1, np.full(100, 0.01)),
        "half without a success, alpha_prior 0.01": (np.where(half, n * 0.05 + 1, 0.01), n),
        "10^12 trials each, equal": (np.full(100, 5e10), np.full(100, 9.5e11)),
    }
    for kind, (alpha, beta) in kinds.items():
        best = probability_best(alpha, beta)
        lead = int(best.argmax())
        work = partial(value_remaining, alpha, beta, None, lead, best[lead])
        print(f"value_remaining, 100 variants, {kind}: {least_seconds(work, rounds=3) * 1e3:.0f} ms of CPU")


def report_always_valid(rng: np.random.Generator) -> None:
    for variants, days in ((4, _DAYS), (4, 365), (100, 365)):
        history = random_history(rng, variants, days)
        work = partial(always_valid_lift, history.trials, history.successes, 0)
        seconds = least_seconds(work, rounds=3)
        print(f"always-valid lifts, {variants} variants, {days} days: {seconds * 1e3:.0f} ms of CPU")


def sweep(rng: np.random.Generator, experiments: int) -> float:
    """Return the CPU seconds to decide this many experiments, whose counts come in chunks as from a database."""
    spent = 0.0
    for chunk in _chunks(rng, experiments):
        start = time.process_time()
        allocate_many(chunk)
        spent += time.process_time() - start
    return spent


def _chunks(rng: np.random.Generator, experiments: int) -> Iterator[list[Request]]:
    for start in range(0, experiments, 1000):
        yield [random_request(rng) for _ in range(min(1000, experiments - start))]


def report_sweep(rng: np.random.Generator, largest: int) -> None:
    print(f"sweep: 4 variants, {_DAYS} days, everything the ledger stores")
    print(f"{'experiments':>12}{'CPU seconds':>13}{'microseconds each':>19}{'peak memory, MB':>17}")
    for experiments in (largest // 100, largest // 10, largest):
        seconds = sweep(rng, experiments)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{experiments:12,}{seconds:13.1f}{seconds / experiments * 1e6:19.0f}{peak:17.0f}")
        sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sweep", type=int, default=10_000, help="Experiments of the largest sweep.")
    largest = parser.parse_args().sweep
    rng = np.random.default_rng(1)
    print(machine())
    report_probability_best(rng)
    report_errors(rng)
    report_decision(rng)
    report_value_remaining(rng)
    report_always_valid(rng)
    report_sweep(rng, largest)


if __name__ == "__main__":
    main()
