"""Several ways to decide, side by side: policies and settings in one world or on the same past tests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from allocation.engine import Settings
from allocation.engine.lab.backtest import PastTest, PolicyResult, backtest
from allocation.engine.lab.policies import POLICIES
from allocation.engine.lab.report import generator_of, simulate_policies
from allocation.engine.lab.simulation import World

# Of ``work``, about ten seconds of one core.
MOST_WORK = 400_000
# A day of so many days in the window costs as much again.
_DAYS_THAT_DOUBLE = 120

OnDay = Callable[[], object]


@dataclass(frozen=True)
class Contender:
    """A policy under settings; ``key`` is unique among those compared."""

    key: str
    policy: str
    settings: Settings


def work(windows: Sequence[int], days: int) -> float:
    """Of one variant in one run under contenders with these windows: decisions and who is in front, watched daily."""
    return sum(days * (1 + min(window, days) / _DAYS_THAT_DOUBLE) for window in windows)


def compare_in_world(
    contenders: Sequence[Contender], world: World, seed: int, *, stop: bool, on_day: OnDay
) -> dict[str, dict[str, Any]]:
    """By key, the numbers of ``manage.py simulate`` and those of every day; ``on_day`` once a contender and day."""
    return {
        contender.key: simulate_policies(
            {contender.policy: POLICIES[contender.policy]},
            world,
            contender.settings,
            seed,
            stop=stop,
            watch=True,
            on_day=on_day,
        )[contender.policy]
        for contender in contenders
    }


def compare_on_past_tests(
    contenders: Sequence[Contender],
    tests: Sequence[PastTest],
    seed: int,
    *,
    days: int,
    runs: int,
    on_day: OnDay,
) -> dict[str, PolicyResult]:
    """By key, the numbers of ``manage.py backtest``; ``on_day`` once a contender, day and number of variants."""
    return {
        contender.key: backtest(
            tests,
            POLICIES[contender.policy],
            contender.settings,
            generator_of(seed, contender.policy),
            days=days,
            runs=runs,
            on_day=on_day,
        )
        for contender in contenders
    }
