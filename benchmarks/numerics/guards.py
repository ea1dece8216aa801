"""Measure whether a guard stops what it should, and nothing else.

    ./dev bench guards [--runs 1000]

Two variants and the control share the guarded metric alone: an even split, 2,000 visitors a day in all, a rate of 5%,
levels of days that swing (log-normal, sd 0.2), "must not fall by more than 5%". The guard looks every day, with the
dispersion of the days so far, and acts after two days running. Three truths: no harm, for 60 days; a fall of just the
5% that are allowed, for 60 days, which is the hardest; and a fall of 20%, for 30 days, for 2,000 visitors a day in all
and for 2,000 a day and variant. Every figure with its standard error.
"""

import argparse
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from allocation.engine.analysis.harm import harms, log_harm
from allocation.engine.evidence.dispersion import dispersion
from allocation.engine.posterior.beta import Floats
from benchmarks.machine import machine

_RATE, _MAX_FALL, _SWING = 0.05, 0.05, 0.2


class Truth(NamedTuple):
    """A case. ``ratio``: the variant's rate to the control's; ``must``: the least or the largest part stopped."""

    name: str
    ratio: float
    days: int
    visitors: int
    must: str


_TRUTHS = (
    Truth("no harm, 60 days, 2,000 a day", 1.0, 60, 1000, "<= 5%"),
    Truth("5% less, as allowed, 60 days, 2,000 a day", 0.95, 60, 1000, "<= 5%"),
    Truth("20% less, 30 days, 2,000 a day", 0.8, 30, 1000, ">= 90%"),
    Truth("20% less, 30 days, 2,000 a day and variant", 0.8, 30, 2000, ">= 90%"),
)


def stopped_on(truth: Truth, runs: int, rng: np.random.Generator) -> Floats:
    """Return the day on which each experiment is stopped, from 1 on; infinite where it is not. (N,)."""
    trials = np.full((runs, truth.days, 2), float(truth.visitors))
    levels = rng.lognormal(0, _SWING, (runs, truth.days, 1))
    rates = np.minimum(_RATE * levels * np.array([1.0, truth.ratio]), 1.0)
    successes = rng.binomial(truth.visitors, rates).astype(np.float64)
    found = np.full(runs, np.inf)
    for day in tqdm(range(2, truth.days + 1), leave=False, desc=truth.name):
        running = np.flatnonzero(np.isinf(found))
        phi = dispersion(trials[running, :day], successes[running, :day])
        for place, n in enumerate(running):
            bets = log_harm(trials[n, :day], successes[n, :day], 1, 0, _MAX_FALL, float(phi[place]), last=2)
            if harms(bets):
                found[n] = day
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000, help="Experiments of each case.")
    runs, rng = parser.parse_args().runs, np.random.default_rng(1)
    print(machine())
    print(f"rate {_RATE:.0%}, x = {_MAX_FALL:.0%}, {runs:,} experiments each")
    for truth in _TRUTHS:
        days = stopped_on(truth, runs, rng)
        part = float(np.isfinite(days).mean())
        error = float(np.sqrt(part * (1 - part) / runs))
        middle = f", half of them by day {np.median(days[np.isfinite(days)]):.0f}" if part else ""
        print(f"   {truth.name:44}{100 * part:6.1f}% stopped (standard error {100 * error:.1f}), must be "
              f"{truth.must}{middle}")  # fmt: skip


if __name__ == "__main__":
    main()
