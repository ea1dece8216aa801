"""Measure whether the engine's intervals and probabilities are right as often as they claim.

    ./dev bench calibration [--scale 1]

1. Rates drawn from the prior: 95% intervals cover 95%, and probability_best is right as often as it says.
2. Traffic that follows the decisions while the level swings at random: of the decisions that said 95-99%, how many
   named the best variant? Day-adjusted, the same without the information discount, and pooled counts.
3. Sample-ratio mismatch: false alarms among healthy experiments, and alarms where one of four evenly served
   variants loses 5% of its impressions.

Every figure with its standard error; those of part 2 count runs, not decisions, as independent.
"""

import argparse
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from allocation.engine.analysis.sample_ratio import sample_ratio
from allocation.engine.batch import Counts, Posterior
from allocation.engine.decision import decide, posterior_of
from allocation.engine.evidence.day_effects import adjusted_evidence
from allocation.engine.lab.simulation import World, simulate
from allocation.engine.limits import TICKS
from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.probability_best import Bools, contest, leader
from allocation.engine.posterior.quantiles import quantiles
from allocation.engine.settings import Settings
from benchmarks.machine import machine
from benchmarks.numerics.priors import failures_assumed
from benchmarks.numerics.recorded import part_of_runs

_SAID = (0.95, 0.99)


def prior_draws(rng: np.random.Generator, experiments: int) -> None:
    """Draw three variants with rates from Beta(5, 95) and 100 to 10,000 trials each, judged with that prior."""
    rates = rng.beta(5, 95, (experiments, 3))
    trials = np.floor(10 ** rng.uniform(2, 4, (experiments, 3)))
    successes = rng.binomial(trials.astype(np.int64), rates).astype(np.float64)
    alpha, beta = 5 + successes, 95 + trials - successes
    interval = quantiles(alpha, beta, (0.025, 0.975))
    covered = (interval[..., 0] <= rates) & (rates <= interval[..., 1])
    print(f"1. {experiments:,} experiments, rates from the prior")
    _row("95% intervals cover", float(covered.mean()), 0.95, _error(0.95, covered.size))
    # one variant of each experiment, so that the cases are independent
    said = contest(alpha, beta).probability_best[:, 0]
    right = rates[:, 0] >= rates.max(axis=1)
    for low in np.arange(10) / 10:
        inside = (said >= low) & ((said < low + 0.1) | (low == 0.9))
        expected = float(said[inside].mean())
        error = float(np.sqrt((said[inside] * (1 - said[inside])).sum()) / inside.sum())
        _row(
            f"said {low:.0%}-{low + 0.1:.0%}, {inside.sum()} cases",
            float(right[inside].mean()),
            expected,
            error,
        )


def _row(name: str, found: float, expected: float, error: float) -> None:
    distance = (found - expected) / error if error > 0 else 0.0
    print(
        f"   {name:32}{100 * found:8.2f}%  expected {100 * expected:6.2f}%  {distance:+5.1f} standard errors"
    )


def _error(probability: float, cases: int) -> float:
    return float(np.sqrt(probability * (1 - probability) / cases))


def undiscounted(counts: Counts) -> Posterior:
    """Return the effective trials, each taken at full value."""
    effective, _ = adjusted_evidence(counts.trials, counts.successes)
    trials, successes = counts.trials.sum(axis=1), counts.successes.sum(axis=1)
    alpha, beta = counts.settings.alpha_prior + successes, failures_assumed(counts) + effective - successes
    return Posterior(trials, successes, effective, np.ones_like(effective), alpha, beta)


class Recorded:
    """Thompson Sampling that records its leader and the leader's probability every day."""

    def __init__(self, estimate: Callable[[Counts], Posterior]) -> None:
        self.estimate = estimate
        self.said: list[Floats] = []
        self.lead: list[NDArray[np.intp]] = []

    def shares(self, counts: Counts) -> Floats:
        posterior = self.estimate(counts)
        best = posterior.contest(counts.active).probability_best
        self.said.append(best.max(axis=1))
        self.lead.append(leader(best, posterior.mean, counts.active))
        return np.asarray(decide(counts, posterior).ticks / TICKS)


def adaptive(rng: np.random.Generator, runs: int) -> None:
    """Simulate 21 days: 4 variants, rates 5% with sd 8%, levels lognormal with sd 0.6, 2,000 impressions a day."""
    days = 21
    world = World(
        rates=0.05 * (1 + 0.08 * rng.standard_normal((runs, 4))),
        traffic=np.full((runs, days), 2000),
        levels=rng.lognormal(0, 0.6, (runs, days)),
        available=np.ones((days, 4), dtype=bool),
    )
    best = world.rates.argmax(axis=1)
    print(f"2. traffic that follows the decisions, {runs:,} runs: right among those that said 95-99%")
    kinds: dict[str, tuple[Callable[[Counts], Posterior], bool]] = {
        "day-adjusted": (posterior_of, True),
        "without the discount": (undiscounted, False),
        "pooled counts": (posterior_of, False),
    }
    for name, (estimate, adjusted) in tqdm(kinds.items(), leave=False):
        policy = Recorded(estimate)
        settings = Settings(day_adjustment=adjusted)
        simulate(world, policy, settings, np.random.default_rng(2))
        said, lead = np.stack(policy.said, axis=1), np.stack(policy.lead, axis=1)
        chosen = (said >= _SAID[0]) & (said < _SAID[1])
        _clustered(name, chosen, lead == best[:, None], said)


def _clustered(name: str, chosen: Bools, right: Bools, said: Floats) -> None:
    """Print the part that is right, with the standard error of a ratio over runs."""
    part, mean = part_of_runs(chosen, right), said[chosen].mean()
    print(
        f"   {name:24}{100 * part.value:6.1f}% (standard error {100 * part.error:.1f}) of {part.cases:,} decisions; "
        f"they said {100 * mean:.1f}%"
    )


def sample_ratios(rng: np.random.Generator, healthy: int, broken: int) -> None:
    alarms = sum(
        _alarm(rng, _wandering_shares(rng), int(10 ** rng.uniform(2.5, 5)), 0.0) for _ in range(healthy)
    )
    print("3. sample-ratio mismatch")
    _row(f"false alarms, {healthy:,} experiments", alarms / healthy, 0.001, _error(0.001, healthy))
    even = np.full((14, 4), 0.25)
    found = sum(_alarm(rng, even, 100_000, 0.05) for _ in range(broken))
    print(f"   one of four loses 5%: found in {found:,} of {broken:,}")


def _wandering_shares(rng: np.random.Generator) -> Floats:
    """Draw 14 days of shares that move at random every day, none below 5%."""
    k = int(rng.integers(2, 7))
    return np.asarray(0.05 + (1 - 0.05 * k) * rng.dirichlet(np.ones(k), 14))


def _alarm(rng: np.random.Generator, shares: Floats, traffic: int, lost: float) -> bool:
    served = rng.multinomial(traffic, shares).astype(np.float64)
    served[:, -1] -= rng.binomial(served[:, -1].astype(np.int64), lost)
    answer = sample_ratio(served, shares)
    return answer is not None and answer.mismatch


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="Of all numbers of cases.")
    scale = parser.parse_args().scale
    rng = np.random.default_rng(1)
    print(machine())
    prior_draws(rng, int(10_000 * scale))
    adaptive(rng, int(4_000 * scale))
    sample_ratios(rng, int(10_000 * scale), int(10_000 * scale))


if __name__ == "__main__":
    main()
