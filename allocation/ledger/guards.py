"""Guards as a decision knows them, and what they find. They are recorded with its inputs, and computed again from them.

A variant harms a guarded metric where the always-valid bet on harm (engine/analysis/harm.py) reaches 20 on its last two
mature days running, and it and the control have as many impressions, and effective orders, as a variant needs to be
judged.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from allocation.engine import Settings
from allocation.engine.analysis.harm import DAYS_RUNNING, harms, log_harm, log_harm_of_values
from allocation.engine.evidence.dispersion import dispersion
from allocation.engine.evidence.values import ENOUGH_ORDERS, units_of
from experiments.campaign.models import Guard, GuardAction
from experiments.metrics import Measures, Reward


@dataclass(frozen=True)
class GuardRule:
    """A metric that must not fall by more than ``max_fall`` percent below the control's."""

    metric: Reward
    max_fall: float
    action: str

    @classmethod
    def of(cls, guard: Guard) -> "GuardRule":
        return cls(Reward(guard.metric), guard.max_fall, str(guard.action))


@dataclass(frozen=True)
class Guarding:
    """The guards of an experiment. ``since``: the first day that counts for them; None for the first of all.

    ``stopped``: an earlier decision gave the control all traffic, and nobody has resumed since.
    """

    rules: tuple[GuardRule, ...]
    since: dt.date | None
    stopped: bool

    def to_json(self) -> dict[str, Any]:
        since = None if self.since is None else self.since.isoformat()
        return {"rules": [asdict(rule) for rule in self.rules], "since": since, "stopped": self.stopped}

    @classmethod
    def from_json(cls, recorded: Mapping[str, Any] | None) -> "Guarding | None":
        if recorded is None:
            return None
        rules = (GuardRule(Reward(r["metric"]), r["max_fall"], r["action"]) for r in recorded["rules"])
        since = recorded["since"]
        return cls(tuple(rules), since and dt.date.fromisoformat(since), recorded["stopped"])


@dataclass(frozen=True)
class Harm:
    """A variant, by its key, that harms a metric; ``max_fall`` and ``action`` are its guard's."""

    metric: str
    variant: str
    max_fall: float
    action: str

    @property
    def acts(self) -> bool:
        return self.action == GuardAction.ACT


class Watched(NamedTuple):
    """The days that guards look at: numbers (D, K) of mature days, the columns as in ``keys``."""

    measures: Measures[NDArray[np.float64]]
    keys: Sequence[str]
    active: Sequence[bool]
    control: int


def find_harms(guarding: Guarding, watched: Watched, settings: Settings) -> tuple[Harm, ...]:
    """Every active variant that harms a guarded metric, guard by guard."""
    needed = settings.min_impressions / max(sum(watched.active), 1)
    enough = watched.measures.impressions.sum(axis=0) >= needed
    if not enough[watched.control]:
        return ()
    compared = [
        place
        for place, is_active in enumerate(watched.active)
        if is_active and enough[place] and place != watched.control
    ]
    return tuple(
        Harm(rule.metric.value, watched.keys[place], rule.max_fall, rule.action)
        for rule in guarding.rules
        for place in _harming(rule, watched, compared, settings)
    )


def _harming(rule: GuardRule, watched: Watched, compared: Sequence[int], settings: Settings) -> list[int]:
    """The columns of ``compared`` that harm the metric of one guard."""
    if rule.metric.is_value:
        return _harming_value(rule, watched, compared, settings)
    trials, successes = rule.metric.trials(watched.measures), rule.metric.successes(watched.measures)
    phi = float(dispersion(trials[None], successes[None])[0]) if settings.dispersion else 1.0
    fall = rule.max_fall / 100
    return [
        place
        for place in compared
        if harms(log_harm(trials, successes, place, watched.control, fall, phi, DAYS_RUNNING))
    ]


def _harming_value(
    rule: GuardRule, watched: Watched, compared: Sequence[int], settings: Settings
) -> list[int]:
    """Values of fewer effective orders than a variant needs to be judged do not show how much they vary."""
    trials, values = rule.metric.trials(watched.measures), rule.metric.successes(watched.measures)
    squares = watched.measures.value_squares
    total = values.sum(axis=0)
    enough = total * total >= ENOUGH_ORDERS * squares.sum(axis=0)
    if not enough[watched.control]:
        return []
    units = units_of(trials[None], values[None], squares[None])
    phi = float(dispersion(*units.counts(trials[None], values[None]))[0]) if settings.dispersion else 1.0
    fall = rule.max_fall / 100
    return [
        place
        for place in compared
        if enough[place]
        and harms(log_harm_of_values(trials, values, squares, place, watched.control, fall, phi))
    ]
