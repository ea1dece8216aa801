"""Statistics of an experiment: rates, uplifts, other metrics, state, mismatch, convergence, rewards. Reads only."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from allocation import engine
from allocation.engine.analysis.convergence import first_passed
from allocation.engine.analysis.gains import NORMAL_95, Rewards, new_gains
from allocation.engine.state import LEADER_PROBABILITY, state_of
from allocation.explanations import apart_in, decision_sentence
from allocation.ledger.days.statements import columns_of_measures
from allocation.ledger.entries import value_facts
from allocation.ledger.guards import Harm
from allocation.ledger.inputs import AllocationInputs
from allocation.ledger.loading import RecordedGains, recorded_gains
from allocation.ledger.table import DailyTable
from allocation.models import AsOf, Kind
from allocation.sample_ratio import SampleRatioResult, compare
from allocation.selectors import Split, last_computed_allocations, splits_until
from allocation.services import current_inputs, find_for_allocation
from allocation.statistics.secondary import SecondaryMetric, secondary_metrics
from allocation.statistics.variants import VariantRate, compare_variants, is_control_bare, variant_rates
from experiments.models import Experiment, Status
from experiments.settings_schema import SettingValue


@dataclass(frozen=True, kw_only=True)
class VariantStatistics(VariantRate):
    """A variant's rate by the goal, and what the decision makes of it.

    ``missing_trials``: effective trials that it lacks to be judged. ``beats_control`` is None for the control itself.
    Where the goal is a value, losses are values per trial, and ``value_sum``, ``effective_orders`` and
    ``largest_part`` are those of the decision.
    """

    probability_best: float
    expected_loss: float
    missing_trials: float
    beats_control: float | None
    value_sum: float | None = None
    effective_orders: float | None = None
    largest_part: float | None = None


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
    """Sums up to a day, in expected successes or value; the gain with its 95% interval."""

    date: dt.date
    given_up: float
    gained_over_even: float
    gained_low: float
    gained_high: float


@dataclass(frozen=True)
class RewardsSoFar:
    """The sums up to the last day that counts, and as each decision recorded them: past days are priced once."""

    given_up: float
    gained_over_even: float
    gained_low: float
    gained_high: float
    by_day: list[DailyRewards]


@dataclass(frozen=True)
class Statistics:
    """Everything that the data says about an experiment as of ``date``. ``leader``: its variant's key.

    ``dispersion``: how much counts vary beyond chance, 1 if not at all. ``rates_changed_on``: the day since when the
    rates are others, if that was lately. ``comparable``: those active were shown on the same days, as they must be for
    day effects to be taken out. ``harming``: the keys of the variants that harm a guarded metric, or did when the
    experiment ended. ``changes_of_rates``: as the decisions saw them, the newest decision first.
    """

    experiment_id: int
    date: dt.date
    as_of: AsOf
    state: str
    sentence: str
    leader: str
    value_remaining: float
    days_with_data: int
    dispersion: float
    rates_changed_on: dt.date | None
    comparable: bool
    variants: list[VariantStatistics]
    secondary: list[SecondaryMetric]
    harming: list[str]
    sample_ratio: SampleRatioResult | None
    convergence: Convergence
    rewards: RewardsSoFar
    changes_of_rates: list[dt.date]

    @property
    def control_is_judged(self) -> bool:
        """False while the control has too little data to compare anything with it."""
        return all(variant.enough_data for variant in self.variants if variant.is_control)

    @property
    def is_control_bare(self) -> bool:
        return is_control_bare(self.variants)

    @property
    def has_lifts(self) -> bool:
        """False while nothing can be compared with the control."""
        return self.control_is_judged and not self.is_control_bare

    def to_json(self) -> dict[str, Any]:
        """The API's answer."""
        answer = asdict(self)
        if answer["sample_ratio"]:
            del answer["sample_ratio"]["days"], answer["sample_ratio"]["compared_days"]
        del answer["changes_of_rates"], answer["harming"]
        return answer


def experiment_statistics(experiment_id: int, date: dt.date, *, with_secondary: bool = True) -> Statistics:
    """The statistics as of ``date``, whatever the status. ``with_secondary``: False leaves out the other metrics, which
    take most of the time, and for which a CSV has no columns.

    Raises ExperimentNotFoundError, NoActiveVariantError, InvalidError (settings that clash).
    """
    return statistics_of(find_for_allocation(experiment_id, date), date, with_secondary=with_secondary)


class Analysis(NamedTuple):
    """The statistics, and what pages draw beside them: the inputs, the decision, every day since the start, the log.

    ``splits``: every decision for every target date, in order. ``harms``: of guarded metrics; once it has ended, those
    of which a guard warned then.
    """

    statistics: Statistics
    inputs: AllocationInputs
    decision: engine.Decision
    history: DailyTable
    splits: list[Split]
    harms: Sequence[Harm]


def statistics_of(experiment: Experiment, date: dt.date, *, with_secondary: bool = True) -> Statistics:
    """The statistics of an experiment read by ``experiments_for_allocation(date)``."""
    return analyse(experiment, date, with_secondary=with_secondary).statistics


def analyse(
    experiment: Experiment,
    date: dt.date,
    overrides: Mapping[str, SettingValue] | None = None,
    *,
    with_secondary: bool = True,
    always_valid: bool = True,
) -> Analysis:
    """The statistics with what they rest on. ``overrides``: settings other than the experiment's own.

    ``always_valid``: False leaves out the intervals that may be looked at every day, which take a while, but for those
    that confirm what another metric's credible interval says.
    """
    inputs = current_inputs(experiment, date, overrides)
    decision = engine.allocate_many([inputs.to_request()])[0]
    splits = splits_until([experiment.pk], date)[experiment.pk]
    history = _history(inputs, date)
    found = inputs.harms(decision.window.end)
    at_end = _harms_at_end(experiment, inputs, date)
    statistics = _statistics(
        inputs,
        decision,
        splits,
        sample_ratio=compare(inputs.variants, splits, history),
        harming={harm.variant for harm in found}.union(at_end.variants),
        variants=variants_of(inputs, decision, history if always_valid else None),
        secondary=secondary_metrics(inputs, history, always_valid=always_valid) if with_secondary else [],
    )
    return Analysis(statistics, inputs, decision, history, splits, found or at_end.harms)


def _statistics(
    inputs: AllocationInputs,
    decision: engine.Decision,
    splits: Sequence[Split],
    *,
    sample_ratio: SampleRatioResult | None,
    harming: Collection[str],
    variants: list[VariantStatistics],
    secondary: list[SecondaryMetric],
) -> Statistics:
    leader = inputs.variants[decision.lead]
    # traffic may have stopped arriving as split since alarms were last looked for
    mismatch = inputs.mismatch or (sample_ratio is not None and sample_ratio.mismatch)
    state = state_of(decision, inputs.variant_days(decision.window), mismatch=mismatch, warned=bool(harming))
    recorded = recorded_gains(inputs.experiment_id, inputs.target_date)
    return Statistics(
        experiment_id=inputs.experiment_id,
        date=inputs.target_date,
        as_of=AsOf(inputs.target_date, _last_day(decision)),
        state=state,
        sentence=decision_sentence(decision, inputs, state, mismatch=mismatch, warned=bool(harming)),
        leader=leader.key,
        value_remaining=decision.value_remaining,
        days_with_data=inputs.days_with_data,
        dispersion=decision.dispersion,
        rates_changed_on=None if decision.change_day is None else dt.date.fromordinal(decision.change_day),
        comparable=not apart_in(decision, inputs),
        variants=variants,
        secondary=secondary,
        harming=sorted(harming),
        sample_ratio=sample_ratio,
        convergence=_convergence(splits, leader.id),
        rewards=_rewards(inputs, decision, recorded),
        changes_of_rates=_changes_of_rates(recorded),
    )


class HarmsAtEnd(NamedTuple):
    """The harms of which a guard warned when an experiment ended, and the keys of the variants that it was about."""

    harms: Sequence[Harm] = ()
    variants: Collection[str] = frozenset()


def _harms_at_end(experiment: Experiment, inputs: AllocationInputs, date: dt.date) -> HarmsAtEnd:
    """Read what the last decision before the end found: the decisions of an end look at no guard.

    Where a guard had stopped the experiment days before, and names no harm, it is about all variants but the control.
    """
    if experiment.status != Status.COMPLETED or not getattr(experiment, "has_guards", True):
        return HarmsAtEnd()
    last = last_computed_allocations([experiment], date).get(experiment.pk)
    harms = [Harm(**harm) for harm in (last.harms if last else None) or ()]
    if last and last.kind == Kind.GUARD and not harms:
        return HarmsAtEnd((), {variant.key for variant in inputs.variants if not variant.is_control})
    return HarmsAtEnd(harms, {harm.variant for harm in harms})


def _last_day(decision: engine.Decision) -> dt.date | None:
    """The last day that a decision may see, or None where it sees none with data."""
    end = decision.window.end if decision.window.days.size else None
    return None if end is None else dt.date.fromordinal(end)


def _changes_of_rates(recorded: Sequence[RecordedGains]) -> list[dt.date]:
    """The day of each change of rates that a decision recorded, the newest decision first."""
    return [gains.rates_changed_on for gains in reversed(recorded) if gains.rates_changed_on is not None]


def _history(inputs: AllocationInputs, date: dt.date) -> DailyTable:
    """Every day since the start; read only where the window does not reach back so far."""
    if not inputs.earlier_impressions:
        return inputs.table
    columns = columns_of_measures([([inputs.experiment_id], dt.date.min, date)])
    return DailyTable.of_columns([columns.get(variant.id) for variant in inputs.variants], with_values=True)


def variants_of(
    inputs: AllocationInputs, decision: engine.Decision, history: DailyTable | None
) -> list[VariantStatistics]:
    """The statistics of each variant by a decision; ``history``: the days that always-valid intervals rest on, or None
    to leave them out.
    """
    compared = compare_variants(inputs, decision)
    rates = variant_rates(inputs, decision, history, compared)
    return [
        VariantStatistics(
            **{**vars(rate), **value_facts(inputs, decision, i)},
            probability_best=float(decision.probability_best[i]),
            expected_loss=float(decision.expected_loss[i]),
            missing_trials=float(decision.missing_trials[i]),
            beats_control=None if compared is None or rate.is_control else float(compared.beats_control[i]),
        )
        for i, rate in enumerate(rates)
    ]


def _convergence(splits: Sequence[Split], leader_id: int) -> Convergence:
    """Follow the leader by each date's last decision, its chance by the last that computed one: no end does."""
    shares = {split.target_date: split.shares.get(leader_id, 0.0) for split in splits}
    chances = {
        split.target_date: split.chances.get(leader_id, 0.0) for split in splits if len(split.chances) > 1
    }
    dates = sorted(chances)
    passed = first_passed(np.array([chances[date] for date in dates]), LEADER_PROBABILITY)
    return Convergence(
        leader_share=[DatedShare(date, shares[date]) for date in sorted(shares)],
        leader_probability_best=[DatedChance(date, chances[date]) for date in dates],
        first_passed_95_percent=None if passed is None else dates[passed],
    )


def _rewards(
    inputs: AllocationInputs, decision: engine.Decision, recorded: Sequence[RecordedGains]
) -> RewardsSoFar:
    """The recorded sums, and those that a decision would record now; what completing recorded is the last word."""
    by_day = [_daily_rewards(gains.through, gains.rewards) for gains in recorded]
    days = decision.window.days
    if days.size and not (inputs.completed and recorded):
        before = Rewards() if inputs.gains is None else inputs.gains.rewards
        now = before.plus(new_gains(decision, inputs.settings, inputs.priced(decision.window)))
        through = dt.date.fromordinal(int(days[-1]))
        by_day = [row for row in by_day if row.date < through] + [_daily_rewards(through, now)]
    last = by_day[-1] if by_day else _daily_rewards(inputs.target_date, Rewards())
    return RewardsSoFar(last.given_up, last.gained_over_even, last.gained_low, last.gained_high, by_day)


def _daily_rewards(date: dt.date, sums: Rewards) -> DailyRewards:
    around = NORMAL_95 * sums.gain_error
    gained = sums.gained_over_even
    return DailyRewards(date, sums.given_up, gained, gained - around, gained + around)
