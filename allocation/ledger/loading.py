"""The inputs of allocations, read for many experiments at once."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from django.db.models import Q

from allocation.engine import Settings
from allocation.engine.analysis.gains import Rewards
from allocation.ledger.before import Before, decisions_before, gains_so_far
from allocation.ledger.days.reading import DaysAsked, DaysRead, read_days
from allocation.ledger.days.statements import DayColumns
from allocation.ledger.guards import Guarding, GuardRule
from allocation.ledger.inputs import AllocationInputs, InputVariant
from allocation.models import Allocation, Kind
from experiments.campaign.models import End, Guard
from experiments.metrics import Reward
from experiments.models import Experiment, Status, Variant
from experiments.settings_schema import SettingValue

# Completed before completing priced anything: a gain of 0 is none.
NOT_PRICED = Q(kind=Kind.COMPLETED, gained_over_even=0, given_up=0, gain_error=0)


def effective_settings(
    experiment: Experiment, overrides: Mapping[str, SettingValue] | None = None
) -> Settings:
    """The settings in force as the engine takes them; raises InvalidError where they clash."""
    values: dict[str, Any] = {**experiment.settings_in_force(), **(overrides or {})}
    return Settings(**values)


def load_inputs(
    experiments: Sequence[Experiment],
    settings: Mapping[int, Settings],
    target_date: dt.date,
    columns: DayColumns | None = None,
    *,
    with_values: bool = False,
) -> list[AllocationInputs]:
    """The inputs of many experiments: one query for counts and one for the decisions before, however many they are.

    ``with_values``: their values too, where neither the goal nor a guard needs them. ``experiments`` come from
    ``selectors.experiments_for_allocation(target_date)``. ``columns``: their counts, where ``read_one`` has read them.
    """
    if not experiments:
        return []
    guards = _guard_rules(experiments)
    by_value = {
        e.pk: with_values or _takes_values(Reward(e.reward), guards.get(e.pk, ())) for e in experiments
    }
    asked = [_asked(e, settings[e.pk], guards, by_value) for e in experiments]
    days = read_days(asked, target_date, columns)
    before = decisions_before(experiments, target_date)
    return [
        _inputs(
            experiment,
            days[experiment.pk],
            before.get(experiment.pk),
            settings[experiment.pk],
            target_date,
            guards.get(experiment.pk, ()),
        )
        for experiment in experiments
    ]


def _guard_rules(experiments: Sequence[Experiment]) -> dict[int, tuple[GuardRule, ...]]:
    """The guards of each running experiment that has any; one query, if one has."""
    guarded = [e.pk for e in experiments if getattr(e, "has_guards", True) and e.status != Status.COMPLETED]
    rules: defaultdict[int, list[GuardRule]] = defaultdict(list)
    for guard in Guard.objects.filter(experiment__in=guarded).order_by("id") if guarded else ():
        rules[guard.experiment_id].append(GuardRule.of(guard))
    return {pk: tuple(found) for pk, found in rules.items()}


def _inputs(
    experiment: Experiment,
    days: DaysRead,
    before: Before | None,
    settings: Settings,
    target_date: dt.date,
    guards: tuple[GuardRule, ...],
) -> AllocationInputs:
    completed = experiment.status == Status.COMPLETED
    inputs = AllocationInputs(
        experiment_id=experiment.pk,
        target_date=target_date,
        reward=Reward(experiment.reward),
        completed=completed,
        winner=experiment.winner_id if completed else None,
        variants=tuple(_input_variant(v, days.variant_days[v.pk]) for v in experiment.every_variant()),
        table=days.table,
        earlier_impressions=days.earlier_impressions,
        days_with_data=days.days_with_data,
        previous=None if before is None else before.shares,
        settings=settings,
        mismatch=bool(getattr(experiment, "has_mismatch", False)),
        guarding=None if completed else _guarding(experiment, guards, before),
        fallback=completed and _ended_on_schedule(experiment),
    )
    return inputs.with_gains(gains_so_far(inputs, before))


def _ended_on_schedule(experiment: Experiment) -> bool:
    """True unless it went on after the end of its schedule, and ended at another time."""
    at = experiment.completed_at
    return experiment.has_ended and experiment.on_end != End.PAUSE and at in (None, experiment.ended_at)


def _takes_values(reward: Reward, guards: Iterable[GuardRule]) -> bool:
    return reward.is_value or any(guard.metric.is_value for guard in guards)


def _guarding(
    experiment: Experiment, guards: tuple[GuardRule, ...], before: Before | None
) -> Guarding | None:
    """None where nothing is guarded and nothing was stopped: it then leaves no trace in the inputs."""
    since = experiment.guards_since
    stopped = (
        before is not None and before.kind == Kind.GUARD and before.target_date >= (since or dt.date.min)
    )
    return Guarding(guards, since, stopped) if guards or stopped else None


def _input_variant(variant: Variant, days: int) -> InputVariant:
    return InputVariant(variant.pk, variant.key, variant.name, variant.is_control, variant.is_active, days)


def _asked(
    experiment: Experiment,
    settings: Settings,
    guards: Mapping[int, tuple[GuardRule, ...]],
    by_value: Mapping[int, bool],
) -> DaysAsked:
    """The days from the first of the window, or for its guards, to the latest."""
    pk = experiment.pk
    return DaysAsked(
        experiment_id=pk,
        variants=[variant.pk for variant in experiment.every_variant()],
        span=settings.maturity_days + settings.longest_window,
        since=(experiment.guards_since or dt.date.min) if pk in guards else None,
        with_values=by_value[pk],
        has_older=getattr(experiment, "has_older_days", True),
    )


class RecordedGains(NamedTuple):
    """The gains up to a day, as a decision recorded them, and the change of rates that it reported."""

    through: dt.date
    rewards: Rewards
    rates_changed_on: dt.date | None


def recorded_gains(experiment_id: int, date: dt.date) -> list[RecordedGains]:
    """The gains as the last decision for each target date up to ``date`` recorded them, oldest first; one query."""
    rows = Allocation.objects.filter(
        experiment=experiment_id, target_date__lte=date, data_through__isnull=False,
        gained_over_even__isnull=False,
    ).exclude(NOT_PRICED).last_revisions()  # fmt: skip
    in_order = rows.order_by("target_date").values_list("data_through", "rates_changed_on", *Rewards._fields)
    last_of_day = {through: (Rewards(*sums), changed) for through, changed, *sums in in_order}
    return [RecordedGains(through, *found) for through, found in sorted(last_of_day.items())]
