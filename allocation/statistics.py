"""Statistics of an experiment: rates, uplifts, state, mismatch, convergence, rewards. Reads only, records nothing."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from allocation import engine
from allocation.engine.analysis.regret import first_passed, rewards_by_day
from allocation.engine.analysis.uplift import Comparison, compare_to_control
from allocation.engine.posterior.beta import Floats
from allocation.engine.state import LEADER_PROBABILITY, state_of
from allocation.explanations import status_sentence
from allocation.inputs import AllocationInputs, counts_by_day
from allocation.sample_ratio import SampleRatioResult, compare, daily_counts_until
from allocation.selectors import Split, splits_until
from allocation.services import current_inputs, find_for_allocation
from experiments.models import Experiment


@dataclass(frozen=True)
class VariantStatistics:
    """One variant's counts in the window and what they say; the last four are None for the control itself."""

    variant_key: str
    variant_name: str
    is_control: bool
    is_active: bool
    trials: int
    successes: int
    rate: float
    rate_low: float
    rate_high: float
    probability_best: float
    expected_loss: float
    uplift: float | None = None
    uplift_low: float | None = None
    uplift_high: float | None = None
    beats_control: float | None = None


@dataclass(frozen=True)
class DatedShare:
    date: dt.date
    share: float


@dataclass(frozen=True)
class DatedChance:
    date: dt.date
    probability_best: float


@dataclass(frozen=True)
class Convergence:
    """Today's leader through the decision log: its share, and its chance where that was computed, by target date.

    Its share stays below 95% wherever the others' floors take more: certainty shows in its chance.
    """

    leader_share: list[DatedShare]
    leader_probability_best: list[DatedChance]
    first_passed_95_percent: dt.date | None


@dataclass(frozen=True)
class DailyRewards:
    """Running sums up to a day, in expected successes from the current posterior means."""

    date: dt.date
    given_up: float
    gained_over_even: float


@dataclass(frozen=True)
class Rewards:
    given_up: float
    gained_over_even: float
    by_day: list[DailyRewards]


@dataclass(frozen=True)
class Statistics:
    """Everything that the data say about an experiment as of ``date``. ``leader``: its variant's key."""

    experiment_id: int
    date: dt.date
    state: str
    sentence: str
    leader: str
    value_remaining: float
    days_with_data: int
    variants: list[VariantStatistics]
    sample_ratio: SampleRatioResult | None
    convergence: Convergence
    rewards: Rewards

    def to_json(self) -> dict[str, Any]:
        """The API's answer."""
        answer = asdict(self)
        if answer["sample_ratio"]:
            del answer["sample_ratio"]["days"]
        return answer


def experiment_statistics(experiment_id: int, date: dt.date) -> Statistics:
    """The statistics as of ``date``, whatever the status.

    Raises ExperimentNotFoundError, NoActiveVariantError, InvalidError (settings that clash).
    """
    return statistics_of(find_for_allocation(experiment_id, date), date)


def statistics_of(experiment: Experiment, date: dt.date) -> Statistics:
    """The statistics of an experiment read by ``Experiment.objects.for_allocation(date)``."""
    inputs = current_inputs(experiment, date)
    decision = engine.allocate_many([inputs.to_request()])[0]
    leader = inputs.variants[decision.lead]
    state = state_of(decision, inputs.days_with_data)
    splits = splits_until([experiment.pk], date)[experiment.pk]
    place = {variant.id: n for n, variant in enumerate(inputs.variants)}
    days, observed = counts_by_day(daily_counts_until([experiment.pk], date)[experiment.pk], place)
    return Statistics(
        experiment_id=experiment.pk,
        date=date,
        state=state,
        sentence=status_sentence(
            state=state,
            leader=leader.name,
            chance=float(decision.probability_best[decision.lead]),
            value_remaining=decision.value_remaining,
            active=sum(variant.is_active for variant in inputs.variants),
            reporting=decision.reporting,
        ),
        leader=leader.key,
        value_remaining=decision.value_remaining,
        days_with_data=inputs.days_with_data,
        variants=_variants(inputs, decision),
        sample_ratio=compare(inputs.variants, splits, days, observed.impressions),
        convergence=_convergence({split.target_date: split for split in splits}, leader.id),
        rewards=_rewards(decision, days, inputs.reward.trials(observed)),
    )


def _variants(inputs: AllocationInputs, decision: engine.Decision) -> list[VariantStatistics]:
    compared = _compared(inputs, decision)
    return [
        VariantStatistics(
            variant_key=variant.key,
            variant_name=variant.name,
            is_control=variant.is_control,
            is_active=variant.is_active,
            trials=int(decision.trials[i]),
            successes=int(decision.successes[i]),
            rate=float(decision.mean[i]),
            rate_low=float(decision.interval_low[i]),
            rate_high=float(decision.interval_high[i]),
            probability_best=float(decision.probability_best[i]),
            expected_loss=float(decision.expected_loss[i]),
            **compared[i],
        )
        for i, variant in enumerate(inputs.variants)
    ]


def _compared(inputs: AllocationInputs, decision: engine.Decision) -> list[dict[str, float]]:
    """Each variant's comparison with the control; empty for the control itself, and where there is none."""
    control = next((i for i, variant in enumerate(inputs.variants) if variant.is_control), None)
    if control is None:
        return [{} for _ in inputs.variants]
    found: Comparison = compare_to_control(decision.alpha, decision.beta, control)
    return [
        {} if i == control else {name: float(values[i]) for name, values in found._asdict().items()}
        for i in range(len(inputs.variants))
    ]


def _convergence(last_revisions: Mapping[dt.date, Split], leader_id: int) -> Convergence:
    dates = sorted(last_revisions)
    compared = [date for date in dates if len(last_revisions[date].chances) > 1]
    chances = [last_revisions[date].chances.get(leader_id, 0.0) for date in compared]
    passed = first_passed(np.array(chances), LEADER_PROBABILITY)
    return Convergence(
        leader_share=[DatedShare(date, last_revisions[date].shares.get(leader_id, 0.0)) for date in dates],
        leader_probability_best=[
            DatedChance(date, chance) for date, chance in zip(compared, chances, strict=True)
        ],
        first_passed_95_percent=None if passed is None else compared[passed],
    )


def _rewards(decision: engine.Decision, days: Sequence[dt.date], trials: Floats) -> Rewards:
    """``trials`` (D, K): every day of the history."""
    sums = rewards_by_day(trials, decision.mean, decision.lead)
    by_day = [
        DailyRewards(day, float(given_up), float(gained))
        for day, given_up, gained in zip(days, sums.given_up, sums.gained, strict=True)
    ]
    last = by_day[-1] if by_day else DailyRewards(dt.date.min, 0.0, 0.0)
    return Rewards(last.given_up, last.gained_over_even, by_day)
