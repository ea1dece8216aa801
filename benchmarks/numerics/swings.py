"""Compare three estimators where the level of all rates swings from day to day.

    ./dev bench swings [--runs 1000]

21 days, 2,000 impressions a day, rates 0.05, 0.052, 0.055, 0.05, otherwise the defaults. Three
estimators under the same production decision: day-adjusted (the product), pooled counts, and each day weighted by
its traffic, as others do: rate_i = sum_t (N_t / N) O_it / n_it.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from allocation.engine.batch import Counts, Posterior
from allocation.engine.decision import decide, posterior_of
from allocation.engine.lab.simulation import Outcome, World, simulate
from allocation.engine.limits import TICKS
from allocation.engine.posterior.beta import Floats
from allocation.engine.settings import Settings
from benchmarks.machine import machine
from benchmarks.numerics.priors import failures_assumed

_DAYS = 21
_TRAFFIC = 2000
_RATES = np.array([0.05, 0.052, 0.055, 0.05])
_BEST = int(np.argmax(_RATES))

_DAY = np.arange(_DAYS)
LEVELS: dict[str, Floats] = {
    "rising threefold": np.linspace(1, 3, _DAYS),
    "falling threefold": np.linspace(3, 1, _DAYS),
    "double at weekends": np.where(_DAY % 7 >= 5, 2.0, 1.0),
    "threefold each 5th day": np.where(_DAY % 5 == 4, 3.0, 1.0),
    "flat": np.ones(_DAYS),
}


def traffic_weighted(counts: Counts) -> Posterior:
    """Average daily rates by the day's traffic, with as many trials as give that average its variance."""
    n, o = counts.trials, counts.successes
    weight = n.sum(axis=2, keepdims=True) / np.maximum(n.sum(axis=(1, 2)), 1)[:, None, None]
    weight = np.where(n > 0, weight, 0)
    weight = weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-12)
    rate = (weight * o / np.maximum(n, 1)).sum(axis=1)
    trials = 1 / np.maximum((weight**2 / np.maximum(n, 1)).sum(axis=1), 1e-12)
    alpha = counts.settings.alpha_prior + trials * rate
    beta = failures_assumed(counts) + trials * (1 - rate)
    return Posterior(n.sum(axis=1), o.sum(axis=1), trials, np.ones_like(trials), alpha, beta)


@dataclass(frozen=True)
class Production:
    """The production decision on another estimate of the posterior."""

    estimate: Callable[[Counts], Posterior]

    def shares(self, counts: Counts) -> Floats:
        return np.asarray(decide(counts, self.estimate(counts)).ticks / TICKS)


ESTIMATORS: dict[str, tuple[Callable[[Counts], Posterior], bool]] = {
    "day-adjusted": (posterior_of, True),
    "pooled": (posterior_of, False),
    "weighted by traffic": (traffic_weighted, False),
}


def play(levels: Floats, estimator: str, runs: int) -> Outcome:
    estimate, adjusted = ESTIMATORS[estimator]
    world = World(
        rates=np.tile(_RATES, (runs, 1)),
        traffic=np.full((runs, _DAYS), _TRAFFIC),
        levels=levels[None],
        available=np.ones((_DAYS, len(_RATES)), dtype=bool),
    )
    settings = Settings(day_adjustment=adjusted)
    return simulate(world, Production(estimate), settings, np.random.default_rng(1), estimate=estimate)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    runs = parser.parse_args().runs
    print(machine())
    print(f"best variant leads at the end, % of {runs:,} runs (standard error), and mean regret in clicks")
    print(f"{'':24}" + "".join(f"{name:>28}" for name in ESTIMATORS))
    for name, levels in tqdm(LEVELS.items(), leave=False):
        print(
            f"{name:24}" + "".join(_cell(play(levels, estimator, runs)) for estimator in ESTIMATORS),
            flush=True,
        )


def _cell(outcome: Outcome) -> str:
    right = float((outcome.front == _BEST).mean())
    error = np.sqrt(right * (1 - right) / len(outcome.front))
    text = f"{100 * right:.1f} ({100 * error:.1f}), {outcome.regret.mean():.1f}"
    return f"{text:>28}"


if __name__ == "__main__":
    main()
