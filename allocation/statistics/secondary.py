"""The other metrics of an experiment's data, which do not decide: each variant's rate and its uplift over the control.

The engine judges each as it would if it were the goal: the evidence of the same days, day-adjusted. A prior of the
experiment's own belongs to its goal; the others' are centred on their own rates.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace

from allocation import engine
from allocation.engine.analysis.always_valid import always_valid_lift
from allocation.engine.analysis.uplift import compare_to_control
from allocation.ledger.entries import successes_in_window
from allocation.ledger.inputs import AllocationInputs
from allocation.ledger.table import DailyTable
from allocation.statistics.uplifts import AlwaysValidUplift, always_valid_uplifts
from experiments.metrics import Reward


@dataclass(frozen=True)
class SecondaryVariant:
    """A variant's counts in the window, its rate and its uplift; the uplifts are None for the control itself.

    Without ``enough_data`` they say little. Of a metric of value the rate is the value per trial, and the successes are
    the conversions that brought it.
    """

    variant_key: str
    variant_name: str
    is_control: bool
    is_active: bool
    trials: int
    successes: int
    rate: float
    rate_low: float
    rate_high: float
    enough_data: bool
    uplift: float | None = None
    uplift_low: float | None = None
    uplift_high: float | None = None
    uplift_always_valid: AlwaysValidUplift | None = None


@dataclass(frozen=True)
class SecondaryMetric:
    """A ratio that is not the goal, of each variant."""

    metric: Reward
    variants: list[SecondaryVariant]


def secondary_metrics(inputs: AllocationInputs, history: DailyTable) -> list[SecondaryMetric]:
    """Every other metric that the data have. ``history``: all days since the start; both with their values."""
    metrics = [metric for metric in Reward if metric != inputs.reward and is_in(metric, history)]
    judged = [judged_by(inputs, metric) for metric in metrics]
    decisions = engine.allocate_many([one.to_request() for one in judged])
    return [
        SecondaryMetric(one.reward, list(_variants(one, decision, history)))
        for one, decision in zip(judged, decisions, strict=True)
    ]


def judged_by(inputs: AllocationInputs, metric: Reward) -> AllocationInputs:
    """Take the same days with another metric as the goal; a prior of the experiment's own belongs to its own goal."""
    if metric == inputs.reward:
        return inputs
    return replace(inputs, reward=metric, settings=replace(inputs.settings, alpha_prior=1.0, beta_prior=None))


def is_in(metric: Reward, history: DailyTable) -> bool:
    """True where there are any successes, and none beyond the trials: conversions may exceed clicks."""
    trials, successes = metric.trials(history.measures), metric.successes(history.measures)
    if metric.is_value:
        return bool(successes[trials > 0].any() and not successes[trials <= 0].any())
    return bool(successes.any() and (successes <= trials).all())


def _variants(
    inputs: AllocationInputs, decision: engine.Decision, history: DailyTable
) -> Iterator[SecondaryVariant]:
    control = next((i for i, variant in enumerate(inputs.variants) if variant.is_control), None)
    uplifts, always_valid = _uplifts(decision, control), _always_valid(inputs, decision, history, control)
    successes = successes_in_window(inputs, decision)
    for i, variant in enumerate(inputs.variants):
        yield SecondaryVariant(
            variant_key=variant.key,
            variant_name=variant.name,
            is_control=variant.is_control,
            is_active=variant.is_active,
            trials=int(decision.trials[i]),
            successes=successes[i],
            rate=float(decision.mean[i]),
            rate_low=float(decision.interval_low[i]),
            rate_high=float(decision.interval_high[i]),
            enough_data=not decision.low_evidence[i],
            uplift_always_valid=always_valid[i],
            **uplifts[i],
        )


def _uplifts(decision: engine.Decision, control: int | None) -> list[dict[str, float]]:
    """Empty for the control itself, and where there is none."""
    if control is None:
        return [{} for _ in decision.alpha]
    found = compare_to_control(decision.alpha, decision.beta, control)
    names = ("uplift", "uplift_low", "uplift_high")
    return [
        {} if i == control else {name: float(getattr(found, name)[i]) for name in names}
        for i in range(len(decision.alpha))
    ]


def _always_valid(
    inputs: AllocationInputs, decision: engine.Decision, history: DailyTable, control: int | None
) -> list[AlwaysValidUplift | None]:
    end = decision.window.end
    if control is None or end is None:
        return [None for _ in inputs.variants]
    mature = history.between(dt.date.min, dt.date.fromordinal(end))
    trials, successes = inputs.reward.trials(mature.measures), inputs.reward.successes(mature.measures)
    squares = mature.measures.value_squares if inputs.reward.is_value else None
    found = always_valid_lift(trials, successes, control, decision.dispersion, squares)
    return always_valid_uplifts(found, control)
