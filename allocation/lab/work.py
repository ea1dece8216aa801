"""How much work is a simulation, before it is begun?

In microseconds of one core, as measured on two variants to a hundred, histories of five days to a year, and odd priors
(`./dev bench bounds` measures again). It is what keeps a request of the API within two seconds, and a page, which takes
several such requests and stops when the person leaves, within about ten; more is computed by manage.py.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from allocation.engine import Settings

MOST_MICROSECONDS = 10_000_000
MOST_OF_A_REQUEST = 1_100_000
# A day of all runs together: a page's request ends between two of them (dashboard.lab.parts).
MOST_OF_A_STEP = 600_000
# Rules that ask nothing of the evidence.
_PLAIN_POLICIES = ("even", "ucb1")
_PLAIN_DECISION, _PLAIN_DAY = 2.0, 200.0
# numpy's calls on a day of all runs together, with the memory for each day of history, and to look who is in front.
_DAY, _DAY_OF_HISTORY, _LOOK = 2500.0, 18.0, 2000.0
# Posteriors with so small a parameter take more nodes, and more steps to a root.
_SMALL_PRIOR = 0.4
_MORE_NODES, _MORE_STEPS = 1.5, 4.0


class Work(NamedTuple):
    """Microseconds: ``once`` however many runs there are, for ``each`` run, and for a run's longest ``day``."""

    once: float
    each: float
    day: float = 0.0

    def of(self, runs: int) -> float:
        return self.once + self.each * runs

    def runs_within(self, most: float) -> int:
        return max(int((most - self.once) / self.each), 0)

    def runs_of_a_page(self) -> int:
        """Count the runs that a page computes: within its bound, and none of their days too long."""
        in_a_step = MOST_OF_A_STEP / self.day if self.day else np.inf
        return int(min(self.runs_within(MOST_MICROSECONDS), in_a_step))


def work(
    settings: Settings,
    variants: int,
    days: int,
    *,
    policy: str = "thompson",
    watch: bool = False,
    stop: bool = False,
    values: bool = False,
) -> Work:
    """Estimate a policy; one that ``watch`` or ``stop`` looks at needs the evidence of every day, whatever it is.

    The memory compares each day of the history with each start before it. With ``values`` posteriors lie so far from 1
    that their integrals take more nodes, and so they do with small priors.
    """
    if policy in _PLAIN_POLICIES and not (watch or stop):
        return Work(days * _PLAIN_DAY, variants * days * _PLAIN_DECISION, variants * _PLAIN_DECISION)
    history = np.minimum(np.arange(days), settings.longest_window)
    contest = 0.8 * variants * (2 if settings.memory else 1) * (1 + variants / 200)
    decision, once = 5 + 40 / variants + contest + 0.25 * history, np.full(days, _DAY)
    if settings.memory:
        decision += 0.8 * history + 0.0125 * history**2
        once += _DAY_OF_HISTORY * history
    if watch or stop:
        decision += 8 + contest
        once += _LOOK
    if stop:
        decision += 55
    more = 1 + min(0.3 * variants, 3.0) if values else 1.0
    if min(settings.alpha_prior, settings.beta_prior or 1.0) < _SMALL_PRIOR:
        more *= _MORE_STEPS if stop else _MORE_NODES
    return Work(
        float(once.sum()), *(variants * float(part) * more for part in (decision.sum(), decision.max()))
    )


def together(works: Iterable[Work]) -> Work:
    once, each, day = zip(*works, strict=True)
    return Work(sum(once), sum(each), max(day))


def work_of_policies(
    policies: Sequence[str],
    settings: Settings,
    variants: int,
    days: int,
    *,
    stop: bool = False,
    values: bool = False,
) -> Work:
    return together(
        work(settings, variants, days, policy=name, stop=stop, values=values) for name in policies
    )
