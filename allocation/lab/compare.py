"""Several ways to decide, side by side: policies and settings in one world or on the same past tests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from allocation.engine import Settings
from allocation.engine.lab.backtest import PastTest, PolicyResult, backtest
from allocation.engine.lab.policies import POLICIES
from allocation.engine.lab.report import WatchedResult, generator_of, watch_policy
from allocation.engine.lab.simulation import World
from allocation.engine.lab.tape import Tape

OnDay = Callable[[], object]


@dataclass(frozen=True)
class Contender:
    """A policy under settings; ``key`` is unique among those compared."""

    key: str
    policy: str
    settings: Settings


def compare_in_world(
    contenders: Sequence[Contender],
    world: World,
    seed: int,
    *,
    stop: bool,
    on_day: OnDay,
    tape: Tape | None = None,
) -> dict[str, WatchedResult]:
    """Play all in one world, by key, with the numbers of ``manage.py simulate`` and those of every day.

    ``on_day`` is called once a contender and day. It may break off: with the ``tape`` it is played on later.
    """
    return {
        contender.key: watch_policy(
            contender.policy,
            POLICIES[contender.policy],
            world,
            contender.settings,
            seed,
            stop=stop,
            on_day=on_day,
            tape=tape,
        )
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
    tape: Tape | None = None,
) -> dict[str, PolicyResult]:
    """Play all on the same past tests, by key, with the numbers of ``manage.py backtest``.

    ``on_day`` is called once a contender, day and number of variants; ``tape`` as above.
    """
    return {
        contender.key: backtest(
            tests,
            POLICIES[contender.policy],
            contender.settings,
            generator_of(seed, contender.policy),
            days=days,
            runs=runs,
            on_day=on_day,
            tape=tape,
        )
        for contender in contenders
    }
