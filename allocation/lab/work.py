"""How much work is a simulation, before it is begun?

In microseconds of one core, as measured on two variants to a hundred and histories of five days to a year. It is what
keeps a page and a request within about ten seconds.
"""

from collections.abc import Sequence

import numpy as np

from allocation.engine import Settings

MOST_MICROSECONDS = 10_000_000
# Rules that ask nothing of the evidence.
_PLAIN_POLICIES = ("even", "ucb1")
_PLAIN_DECISION = 2.0


def work(
    settings: Settings,
    variants: int,
    days: int,
    *,
    policy: str = "thompson",
    watch: bool = False,
    stop: bool = False,
    values: bool = False,
) -> float:
    """Estimate one run; a run that ``watch`` or ``stop`` looks at needs the evidence of every day, whatever its policy.

    The memory compares each day of the history with each start before it. With ``values`` posteriors lie so far from 1
    that their integrals take more nodes.
    """
    if policy in _PLAIN_POLICIES and not (watch or stop):
        return variants * days * _PLAIN_DECISION
    history = np.minimum(np.arange(days), settings.longest_window)
    contest = 0.8 * variants * (2 if settings.memory else 1)
    decision = 5 + 40 / variants + contest + 0.25 * history
    if settings.memory:
        decision += 0.8 * history + 0.0125 * history**2
    if watch or stop:
        decision += 8 + contest
    if stop:
        decision += 55
    more = 1 + min(0.3 * variants, 3.0) if values else 1.0
    return variants * float(decision.sum()) * more


def work_of_policies(
    policies: Sequence[str],
    settings: Settings,
    variants: int,
    days: int,
    *,
    stop: bool = False,
    values: bool = False,
) -> float:
    return sum(work(settings, variants, days, policy=name, stop=stop, values=values) for name in policies)
