"""Measure what the engine says of values: against draws and quadrature, and whether its intervals hold.

    ./dev bench values [--cases 200] [--draws 1000000] [--runs 4000]

1. probability_best of random experiments with values, against draws of the Gamma posteriors, and of pairs against
   quadrature (scipy). Wanted: 3e-3 and 1e-5.
2. 95% intervals of the value per visitor where orders are log-normal. Wanted: 93% to 97% hold.
3. The always-valid lift, looked at every day: how many experiments without a difference it is ever wrong about.
   Wanted: at most 5%.
4. Three variants of equal conversion and orders of other worth: how often the best one leads at the end.
"""

import argparse

import numpy as np
from scipy import integrate, stats
from tqdm import tqdm

from allocation.engine.analysis.always_valid import always_valid_lift
from allocation.engine.evidence.learned import EvidenceRules, EvidenceSettings, evidence_of_many
from allocation.engine.lab.orders import OrderValues, draw_values
from allocation.engine.lab.policies import POLICIES
from allocation.engine.lab.report import simulate_policies
from allocation.engine.lab.simulation import make_world
from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.probability_best import probability_best
from allocation.engine.posterior.quantiles import quantiles
from allocation.engine.settings import Settings
from benchmarks.machine import machine

_SIGMA = 0.8
_CV = float(np.sqrt(np.expm1(_SIGMA**2)))


def gamma_posteriors(rng: np.random.Generator) -> tuple[Floats, Floats, float]:
    """Alpha, beta and U of one random experiment: 2 to 6 variants, a few visitors to a million, orders of any worth."""
    k, days = int(rng.integers(2, 7)), int(rng.integers(1, 31))
    trials = rng.poisson(10 ** rng.uniform(1, 4.5) * rng.dirichlet(np.ones(k)), (days, k))
    orders = rng.binomial(trials, (10 ** rng.uniform(-3, -0.5) * rng.lognormal(0, 0.1, k)).clip(0, 1))
    worth = OrderValues(10 ** rng.uniform(-1, 4) * rng.lognormal(0, 0.1, k), float(rng.uniform(0.1, 2)))
    values, squares = draw_values(orders, worth, rng)
    rules = EvidenceRules.of([EvidenceSettings(memory=False)])
    found = evidence_of_many(trials[None].astype(np.float64), values[None], rules, squares[None])
    return found.alpha[0], found.beta[0], float(found.unit[0])


def against_draws(cases: int, draws: int, rng: np.random.Generator) -> None:
    by_draws, by_quadrature = [], []
    for _case in tqdm(range(cases), leave=False):
        alpha, beta, unit = gamma_posteriors(rng)
        scale = unit / (alpha + beta)
        best = probability_best(alpha, beta)
        drawn = rng.gamma(alpha, scale, (draws, len(alpha))).argmax(axis=1)
        by_draws.append(np.abs(best - np.bincount(drawn, minlength=len(alpha)) / draws).max())
        pair = probability_best(alpha[:2], beta[:2])[0]
        by_quadrature.append(abs(pair - _first_of_two(alpha, scale)))
    print(f"1. {cases} experiments, {draws:,} draws each")
    print(f"   largest difference in probability_best: {max(by_draws):.1e} from draws, target 3e-3")
    print(f"   {max(by_quadrature):.1e} from quadrature (the first two variants), target 1e-5")


def _first_of_two(shape: Floats, scale: Floats) -> float:
    """P(the first is the larger): the ratio of two Gammas is a Beta in disguise, here integrated as it stands."""
    first, second = (stats.gamma(shape[i], scale=scale[i]) for i in (0, 1))
    levels = [1e-13, 1e-6, 0.01, 0.3, 0.7, 0.99, 1 - 1e-6, 1 - 1e-13]
    cuts = np.unique(np.log([first.ppf(level) for level in levels]))

    def won(z: float) -> float:
        x = float(np.exp(z))
        return float(x * first.pdf(x) * second.cdf(x))

    return float(integrate.quad(won, cuts[0], cuts[-1], points=cuts[1:-1], limit=500, epsabs=1e-11)[0])


def coverage(runs: int, rng: np.random.Generator) -> None:
    print(
        f"2. {runs:,} experiments of 2,000 visitors a variant, 3% buy, sigma {_SIGMA}: 95% intervals that hold"
    )
    for k, days in ((2, 1), (2, 14), (4, 14)):
        trials, values, squares = _shops(runs, days, 2000 // days, k, rng)
        found = evidence_of_many(trials, values, EvidenceRules.of([EvidenceSettings()] * runs), squares)
        interval = quantiles(found.alpha, found.beta, (0.025, 0.975)) * found.unit[:, None, None]
        holds = (interval[..., 0] <= 0.9) & (interval[..., 1] >= 0.9)
        print(f"   {k} variants, {days} days: {holds.mean():.1%}")


def _shops(
    runs: int, days: int, daily: int, k: int, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    trials = np.full((runs, days, k), daily)
    orders = rng.binomial(trials, 0.03)
    return trials.astype(np.float64), *draw_values(orders, OrderValues(np.full(k, 30.0), _CV), rng)


def looked_at_daily(runs: int, rng: np.random.Generator) -> None:
    trials, values, squares = _shops(runs, 60, 1000, 2, rng)
    p = np.array(
        [
            always_valid_lift(n, s, 0, squares=q).p_value[1]
            for n, s, q in tqdm(zip(trials, values, squares, strict=True), total=runs, leave=False)
        ]
    )
    print(f"3. {runs:,} experiments of two equal variants, looked at on each of 60 days")
    print(f"   ever a p-value below 5%: {(p < 0.05).mean():.1%}")


def finding_the_best(runs: int) -> None:
    worth = OrderValues(np.array([50.0, 60.0, 55.0]), 1.0)
    world = make_world("constant", np.full(3, 0.05), 2000, 60, runs, orders=worth)
    found = simulate_policies({"thompson": POLICIES["thompson"]}, world, Settings(), 1)["thompson"]
    print(f"4. {runs:,} runs of 60 days, 2,000 visitors a day, 5% of them buy for 50, 60 or 55")
    print(f"   the best leads at the end: {found.best_in_front:.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--draws", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=4000)
    options = parser.parse_args()
    print(machine())
    rng = np.random.default_rng(1)
    against_draws(options.cases, options.draws, rng)
    coverage(options.runs, rng)
    looked_at_daily(options.runs // 4, rng)
    finding_the_best(max(options.runs // 20, 1))


if __name__ == "__main__":
    main()
