"""Is the evidence that decides the right evidence?

    ./dev bench evidence [CASE ...] [--runs 200]

Each case is played by the production decision under three ways to weigh the past: a window of 14 days with the prior
Beta(1, 1), without memory and dispersion (much as the first engine by default); all days alike; and the defaults. The
last column says what the defaults must reach, and whether they do: "yes", "no", or by how little they miss it where
that may be chance (two standard errors, in brackets behind each figure).

Regret is given as the part of an even split's, both against the variant that is best but for what comes and goes.
"""

import argparse
import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from allocation.engine.analysis.always_valid import log_bets
from allocation.engine.batch import Counts, SettingsArrays
from allocation.engine.evidence.learned import evidence_of_many
from allocation.engine.lab.backtest import PastTest, backtest
from allocation.engine.lab.policies import Even, Thompson
from allocation.engine.lab.report import best_in_front, generator_of
from allocation.engine.lab.scenarios import daily_rates
from allocation.engine.lab.simulation import Outcome, World, make_world, simulate
from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.groups import contest_of_groups
from allocation.engine.posterior.quantiles import quantiles
from allocation.engine.settings import Settings
from benchmarks.machine import machine
from benchmarks.numerics.recorded import Part, Recorded, part_of, part_of_runs

SEED = 1
RUNS = 200
DEFAULTS = "defaults"
WAYS: Mapping[str, Mapping[str, Any]] = {
    "14 days": {"window_days": 14, "memory": False, "dispersion": False, "beta_prior": 1.0},
    "all days": {"memory": False},
    DEFAULTS: {},
}
# Cases that are counted and not played, or whose parts are small, take so many times the runs asked for.
_MANY = 10
_PAST_TESTS = Path(__file__).resolve().parents[1] / "data" / "upworthy_tests.csv"
_CHANCE = 2.0


class Figure(NamedTuple):
    """``is_part``: shown in percent."""

    name: str
    value: float
    error: float
    is_part: bool = False

    def __str__(self) -> str:
        if self.is_part:
            return f"{100 * self.value:.1f}% ({100 * self.error:.1f})"
        digits = 3 if self.value < 10 else 1
        return f"{self.value:.{digits}f} ({self.error:.{digits}f})"


class Bar(NamedTuple):
    """The bar that the defaults must reach."""

    limit: float
    at_most: bool = True

    def verdict(self, figure: Figure) -> str:
        missed = figure.value - self.limit if self.at_most else self.limit - figure.value
        if missed <= 0:
            return "yes"
        words = "no" if missed > _CHANCE * figure.error else "within chance"
        return (
            f"{words}, missed by {100 * missed:.1f} points" if figure.is_part else f"{words}, by {missed:.3f}"
        )

    def text(self, figure: Figure) -> str:
        limit = f"{100 * self.limit:.10g}%" if figure.is_part else f"{self.limit:.10g}"
        return f"{'<=' if self.at_most else '>='} {limit}"


Measure = Callable[[Mapping[str, Any], int], Sequence[Figure]]


class Case(NamedTuple):
    """``bars``: by the name of a figure. ``ways``: those that it can be played in."""

    title: str
    measure: Measure
    bars: Mapping[str, Bar]
    ways: Sequence[str] = tuple(WAYS)


def of_even(outcome: Outcome, after: int = 0) -> Figure:
    """Regret over an even split's, from the day after day ``after`` on. The error is that of a ratio of sums."""
    lost, even = outcome.regret_by_day, outcome.regret_by_day + outcome.gain_by_day
    mine, theirs = (sums[:, -1] - (sums[:, after - 1] if after else 0) for sums in (lost, even))
    value = mine.sum() / theirs.sum()
    error = np.sqrt(((mine - value * theirs) ** 2).sum()) / theirs.sum()
    return Figure("regret of an even split's", float(value), float(error))


def _part(name: str, part: Part) -> Figure:
    return Figure(name, part.value, part.error, is_part=True)


def _stay(way: Mapping[str, Any], runs: int) -> list[Figure]:
    world = make_world("constant", np.array([0.05, 0.052, 0.055, 0.05]), 2000, 120, runs, SEED)
    outcome = _play(world, way)
    return [of_even(outcome), _part("best leads", part_of(best_in_front(outcome, world)[:, -1]))]


def _swap(way: Mapping[str, Any], runs: int) -> list[Figure]:
    return [
        of_even(_play(make_world("swap", np.array([0.045, 0.05, 0.055, 0.06]), 2000, 100, runs, SEED), way))
    ]


def _drift(way: Mapping[str, Any], runs: int) -> list[Figure]:
    return [
        of_even(_play(make_world("drift", np.array([0.05, 0.052, 0.055, 0.05]), 2000, 100, runs, SEED), way))
    ]


def _weekday(way: Mapping[str, Any], runs: int) -> list[Figure]:
    world = make_world("weekday", np.array([0.05, 0.05, 0.052]), 20_000, 84, runs, SEED)
    return [of_even(_play(world, way), after=14)]


def _noisy(way: Mapping[str, Any], runs: int) -> list[Figure]:
    """Rates of each run's own, 5% with sd 10%, and every day's beside them."""
    rng, days = np.random.default_rng([SEED, 1]), 60
    rates = 0.05 * (1 + 0.1 * rng.standard_normal((runs, 4)))
    noise = daily_rates("noisy", np.full(4, 0.05), days, runs, rng) / 0.05
    world = World(
        rates=rates,
        traffic=np.full((runs, days), 4000),
        levels=np.ones((1, days)),
        available=np.ones((days, 4), dtype=bool),
        daily=rates[:, None] * noise,
        lasting=np.broadcast_to(rates[:, None], noise.shape),
    )
    policy = Recorded()
    outcome = simulate(world, policy, Settings(**way), _rng())
    right = part_of_runs(policy.said >= 0.95, policy.lead == rates.argmax(axis=1)[:, None])
    return [_part("right where it says >= 95%", right), of_even(outcome)]


def _past_tests(way: Mapping[str, Any], runs: int) -> list[Figure]:
    """Five runs of each test where 200 runs are asked for."""
    tests, times = _read_past_tests(), max(runs // 40, 1)
    greedy: Mapping[str, Any] = {"exploitation": 4.0, "control_floor": 0.0, "min_explore_rate": 0.01}
    return [
        _of_even_in_tests("defaults: regret of an even split's", tests, Settings(**way), times),
        _of_even_in_tests("greedy: regret of an even split's", tests, Settings(**way, **greedy), times),
    ]


def _read_past_tests() -> list[PastTest]:
    """The control is the first variant of each."""
    tests: dict[str, list[tuple[float, float]]] = {}
    with _PAST_TESTS.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            counts = float(row["impressions"]), float(row["clicks"])
            tests.setdefault(row["experiment"], []).append(counts)
    return [PastTest(*np.array(variants).T) for variants in tests.values()]


def _of_even_in_tests(name: str, tests: Sequence[PastTest], settings: Settings, runs: int) -> Figure:
    even = backtest(tests, Even(), settings, generator_of(SEED, "even"), days=14, runs=runs)
    mine = backtest(tests, Thompson(), settings, generator_of(SEED, "thompson"), days=14, runs=runs)
    value = mine.regret / even.regret
    error = np.sqrt(((mine.regret_by_test - value * even.regret_by_test) ** 2).sum()) / even.regret
    return Figure(name, value, float(error))


def _newcomer(way: Mapping[str, Any], runs: int) -> list[Figure]:
    """The worst of four rates and two ages. Both have the same rate, and 1,000 visits on each day they are shown."""
    found = [
        _newcomer_with(way, rate, age, _MANY * runs)
        for rate in (0.0003, 0.001, 0.003, 0.02)
        for age in (1, 3)
    ]
    wins, covered = zip(*found, strict=True)
    return [
        _part("called the best at >= 95%, at worst", max(wins)),
        _part("its interval covers, at worst", min(covered)),
    ]


def _newcomer_with(way: Mapping[str, Any], rate: float, age: int, runs: int) -> tuple[Part, Part]:
    rng = np.random.default_rng([SEED, 2, age, int(rate * 1e5)])
    trials = np.full((runs, 14, 2), 1000.0)
    trials[:, : 14 - age, 1] = 0
    successes = rng.binomial(trials.astype(np.int64), rate).astype(np.float64)
    evidence = evidence_of_many(trials, successes, SettingsArrays.of([Settings(**way)] * runs).evidence_rules)
    best = contest_of_groups(
        evidence.group_alpha, evidence.group_beta, np.ones((runs, 2), dtype=bool)
    ).probability_best
    interval = quantiles(evidence.alpha[:, 1:], evidence.beta[:, 1:], (0.025, 0.975))[:, 0]
    return part_of(best[:, 1] >= 0.95), part_of((interval[:, 0] <= rate) & (rate <= interval[:, 1]))


def _calibration(way: Mapping[str, Any], runs: int) -> list[Figure]:
    """Four variants, 5% with sd 8%, levels lognormal with sd 0.6, 2,000 impressions a day, 21 days."""
    rng, days, runs = np.random.default_rng([SEED, 3]), 21, 2 * _MANY * runs
    world = World(
        rates=0.05 * (1 + 0.08 * rng.standard_normal((runs, 4))),
        traffic=np.full((runs, days), 2000),
        levels=rng.lognormal(0, 0.6, (runs, days)),
        available=np.ones((days, 4), dtype=bool),
    )
    policy = Recorded()
    simulate(world, policy, Settings(**way), _rng())
    said = (policy.said >= 0.95) & (policy.said < 0.99)
    right = part_of_runs(said, policy.lead == world.rates.argmax(axis=1)[:, None])
    return [_part("right where it says 95-99%", right)]


def _google(way: Mapping[str, Any], runs: int) -> list[Figure]:
    """S. L. Scott, "Multi-armed bandit experiments": 4% or 5%, 100 visits a day, for at most 223 days."""
    runs = _MANY * runs
    free: Mapping[str, Any] = {
        "min_impressions": 0,
        "control_floor": 0.0,
        "min_explore_rate": 0.0,
        "max_daily_shift": 1.0,
    }
    settings = Settings(**way, **free, day_adjustment=False)
    world = make_world("constant", np.array([0.04, 0.05]), 100, 223, runs, SEED)
    outcome = simulate(world, Thompson(), settings, _rng(), stop=True)
    return [
        _mean("days until it stops", outcome.stop_day.astype(np.float64)),
        _part("picks the better page", part_of(best_in_front(outcome, world)[:, -1])),
        _mean("extra clicks vs even split", outcome.gain),
    ]


def _mean(name: str, values: Floats) -> Figure:
    return Figure(name, float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))))


def _always_valid(way: Mapping[str, Any], runs: int) -> list[Figure]:
    return [_ever_wrong(way, lift, 5 * runs) for lift in (0.0, 0.1, 0.3)]


def _ever_wrong(way: Mapping[str, Any], lift: float, runs: int) -> Figure:
    """Shares follow the decisions, levels swing (lognormal, sd 0.3). A dispersion of 1: the boldest interval."""
    rng, days = np.random.default_rng([SEED, 4, int(100 * lift)]), 91
    world = World(
        rates=np.tile([0.05, 0.05 * (1 + lift)], (runs, 1)),
        traffic=np.full((runs, days), 2000),
        levels=rng.lognormal(0, 0.3, (runs, days)),
        available=np.ones((days, 2), dtype=bool),
    )
    policy = _Seen()
    simulate(world, policy, Settings(**way), _rng())
    bets = (log_bets(n, o, lift) for n, o in zip(policy.trials, policy.successes, strict=True))
    wrong = np.array([bool((bet >= np.log(20)).any()) for bet in bets])
    return _part(f"ever wrong in {days - 1} days, lift {lift:.0%}", part_of(wrong))


class _Seen:
    """Keeps the counts that the last decision saw."""

    trials: Floats
    successes: Floats

    def shares(self, counts: Counts) -> Floats:
        self.trials, self.successes = counts.trials, counts.successes
        return Thompson().shares(counts)


def _play(world: World, way: Mapping[str, Any]) -> Outcome:
    return simulate(world, Thompson(), Settings(**way), _rng())


def _rng() -> np.random.Generator:
    return generator_of(SEED, "thompson")


_REGRET = "regret of an even split's"
CASES: Mapping[str, Case] = {
    "stay": Case(
        "rates stay: 5, 5.2, 5.5, 5%, 2,000 a day, 120 days",
        _stay,
        {_REGRET: Bar(0.45), "best leads": Bar(0.95, at_most=False)},
    ),
    "swap": Case(
        "the order swaps halfway: 4.5, 5, 5.5, 6%, 2,000 a day, 100 days", _swap, {_REGRET: Bar(0.39)}
    ),
    "drift": Case("each rate drifts 2% a day: 5, 5.2, 5.5, 5%, 100 days", _drift, {_REGRET: Bar(0.37)}),
    "weekday": Case(
        "weekends favour the second: 5, 5, 5.2%, 20,000 a day, 84 days, after day 14",
        _weekday,
        {_REGRET: Bar(0.30)},
    ),
    "noisy": Case(
        "each rate of each day off by 15%: four of 5%, sd 10%, 4,000 a day, 60 days",
        _noisy,
        {"right where it says >= 95%": Bar(0.90, at_most=False)},
    ),
    "past": Case(
        "1,000 past tests, 14 days, five runs each",
        _past_tests,
        {f"defaults: {_REGRET}": Bar(0.525), f"greedy: {_REGRET}": Bar(0.415)},
    ),
    "newcomer": Case(
        "a newcomer of 1 or 3 days, equal rates of 0.03, 0.1, 0.3, 2%",
        _newcomer,
        {
            "called the best at >= 95%, at worst": Bar(0.06),
            "its interval covers, at worst": Bar(0.92, at_most=False),
        },
    ),
    "calibration": Case(
        "levels swing at random", _calibration, {"right where it says 95-99%": Bar(0.95, at_most=False)}
    ),
    "google": Case(
        "Google's case, without limits, until it is decided",
        _google,
        {
            "days until it stops": Bar(48.4),
            "picks the better page": Bar(0.962, at_most=False),
            "extra clicks vs even split": Bar(89.8, at_most=False),
        },
    ),
    "always-valid": Case(
        "the always-valid interval, looked at daily",
        _always_valid,
        {f"ever wrong in 90 days, lift {lift}": Bar(0.05) for lift in ("0%", "10%", "30%")},
        ways=(DEFAULTS,),
    ),
}


def rows(names: Sequence[str], runs: int) -> Iterator[str]:
    """The lines of a table, one for each figure."""
    yield f"| case | figure (standard error) | {' | '.join(WAYS)} | must reach | reached |"
    yield "|" + "---|" * (len(WAYS) + 4)
    for name in tqdm(names, leave=False):
        case = CASES[name]
        found = {way: case.measure(WAYS[way], runs) for way in case.ways}
        for place, figure in enumerate(found[DEFAULTS]):
            cells = [str(found[way][place]) if way in found else "" for way in WAYS]
            bar = case.bars.get(figure.name)
            end = [bar.text(figure), bar.verdict(figure)] if bar else ["", ""]
            yield f"| {' | '.join([case.title if place == 0 else '', figure.name, *cells, *end])} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"Of {', '.join(CASES)}; all by default.")
    parser.add_argument("--runs", type=int, default=RUNS)
    options = parser.parse_args()
    if unknown := [name for name in options.cases if name not in CASES]:
        parser.error(f"{unknown[0]} is none of {', '.join(CASES)}")
    print(machine())
    for line in rows(options.cases or list(CASES), options.runs):
        print(line, flush=True)


if __name__ == "__main__":
    main()
