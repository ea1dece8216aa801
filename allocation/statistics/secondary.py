"""The other metrics of an experiment's data, which do not decide: each variant's rate and its uplift over the control.

The engine judges each as it would if it were the goal: the evidence of the same days, day-adjusted. The chance of each
variant to be the best by it is not computed. A prior of the experiment's own belongs to its goal; the others' are
centred on their own rates.
"""

from dataclasses import dataclass, replace

from allocation import engine
from allocation.ledger.inputs import AllocationInputs
from allocation.ledger.table import DailyTable
from allocation.statistics.variants import VariantRate, compare_variants, variant_rates
from experiments.metrics import Reward


@dataclass(frozen=True)
class SecondaryMetric:
    """A ratio that is not the goal, of each variant."""

    metric: Reward
    variants: list[VariantRate]


def secondary_metrics(
    inputs: AllocationInputs, history: DailyTable, *, always_valid: bool = True
) -> list[SecondaryMetric]:
    """Every other metric that the data has. ``history``: all days since the start; both with their values.

    ``always_valid``: False leaves out such an interval where the credible one holds 0, and there is nothing to confirm.
    """
    metrics = [metric for metric in Reward if metric != inputs.reward and is_in(metric, history)]
    judged = [judged_by(inputs, metric) for metric in metrics]
    rates = engine.judge_many([one.to_request() for one in judged])
    return [
        SecondaryMetric(
            one.reward,
            variant_rates(one, found, history, compare_variants(one, found), where_likely=not always_valid),
        )
        for one, found in zip(judged, rates, strict=True)
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
