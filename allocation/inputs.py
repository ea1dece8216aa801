"""The inputs of an allocation: loaded once, computed from, recorded with the decision, verified later.

``AllocationInputs`` is plain data. Its JSON stands in the decision log, so that every decision can be computed again
from the log alone.
"""

import datetime as dt
import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from allocation.engine import ENGINE_VERSION, History, Request, Settings
from allocation.engine.posterior.beta import Floats
from allocation.models import Allocation, AllocationShare
from experiments.metrics import COUNT_NAMES, Counts, Reward
from experiments.models import DailyMetric, Experiment, Status, Variant
from experiments.settings_schema import SettingValue

# A date, a variant's id and its counts, in the order of COUNT_NAMES.
MetricRow = tuple[Any, ...]


@dataclass(frozen=True)
class InputVariant:
    """A variant as a decision sees it. ``name`` is not recorded: in the decision log it is the key."""

    id: int
    key: str
    name: str
    is_control: bool
    is_active: bool

    def to_json(self) -> dict[str, Any]:
        return {"id": self.id, "key": self.key, "is_control": self.is_control, "is_active": self.is_active}


@dataclass(frozen=True)
class AllocationInputs:
    """All that the allocation of one experiment for ``target_date`` depends on.

    ``counts``: every row from the first day of the window to the latest day, immature days too, by date and variant.
    ``earlier_impressions``: all impressions before these rows. ``days_with_data``: distinct days since the start.
    ``previous``: the shares in force the day before, by variant id; None where there were none.
    """

    experiment_id: int
    target_date: dt.date
    reward: Reward
    completed: bool
    winner: int | None
    variants: tuple[InputVariant, ...]
    counts: tuple[MetricRow, ...]
    earlier_impressions: int
    days_with_data: int
    previous: Mapping[int, float] | None
    settings: Settings
    engine_version: str = ENGINE_VERSION

    @classmethod
    def from_json(cls, recorded: Mapping[str, Any], experiment_id: int) -> Self:
        """The inputs as the decision log holds them."""
        previous = recorded["previous"]
        return cls(
            experiment_id=experiment_id,
            target_date=dt.date.fromisoformat(recorded["target_date"]),
            reward=Reward(recorded["reward"]),
            completed=recorded["completed"],
            winner=recorded["winner"],
            variants=tuple(InputVariant(name=v["key"], **v) for v in recorded["variants"]),
            counts=tuple((dt.date.fromisoformat(date), *row) for date, *row in recorded["counts"]),
            earlier_impressions=recorded["earlier_impressions"],
            days_with_data=recorded["days_with_data"],
            previous=None if previous is None else {int(pk): share for pk, share in previous.items()},
            settings=Settings(**recorded["settings"]),
            engine_version=recorded["engine_version"],
        )

    @cached_property
    def as_json(self) -> dict[str, Any]:
        """Plain JSON, as the decision log records it."""
        previous = self.previous
        return {
            "engine_version": self.engine_version,
            "target_date": self.target_date.isoformat(),
            "reward": self.reward,
            "completed": self.completed,
            "winner": self.winner,
            "variants": [variant.to_json() for variant in self.variants],
            "counts": [[date.isoformat(), *row] for date, *row in self.counts],
            "earlier_impressions": self.earlier_impressions,
            "days_with_data": self.days_with_data,
            "previous": None if previous is None else {str(pk): share for pk, share in previous.items()},
            "settings": asdict(self.settings),
        }

    @cached_property
    def digest(self) -> str:
        return digest(self.as_json)

    @property
    def impressions_so_far(self) -> int:
        return self.earlier_impressions + _impressions(self.counts)

    def to_request(self) -> Request:
        """The engine's request: arrays by position of the variant."""
        control = [index for index, variant in enumerate(self.variants) if variant.is_control]
        return Request(
            history=self._history(),
            target_day=self.target_date.toordinal(),
            active=np.array([variant.is_active for variant in self.variants], dtype=bool),
            control=control[0] if control else None,
            previous=np.full(len(self.variants), np.nan)
            if self.previous is None
            else np.array([self.previous.get(variant.id, 0.0) for variant in self.variants]),
            settings=self.settings,
        )

    def _history(self) -> History:
        """The rows as arrays of days by variants, (D, K) each."""
        place = {variant.id: index for index, variant in enumerate(self.variants)}
        days, observed = counts_by_day(self.counts, place)
        return History(
            days=np.array([day.toordinal() for day in days], dtype=np.int64),
            impressions=observed.impressions,
            trials=self.reward.trials(observed),
            successes=self.reward.successes(observed),
            earlier_impressions=float(self.earlier_impressions),
        )


def digest(inputs: Mapping[str, Any]) -> str:
    """SHA-256 of recorded inputs in one canonical form."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def counts_by_day(
    rows: Sequence[MetricRow], place: Mapping[int, int]
) -> tuple[list[dt.date], Counts[Floats]]:
    """List the days that have a row, rising, and each count as an array (D, K) of days by variants.

    ``place``: the column of each variant id. Rows of other variants are left out.
    """
    days = sorted({row[0] for row in rows})
    index = {day: n for n, day in enumerate(days)}
    observed = Counts(*(np.zeros((len(days), len(place))) for _name in COUNT_NAMES))
    for day, variant_id, *counts in rows:
        if variant_id in place:
            for values, count in zip(observed, counts, strict=True):
                values[index[day], place[variant_id]] = count
    return days, observed


def effective_settings(
    experiment: Experiment, overrides: Mapping[str, SettingValue] | None = None
) -> Settings:
    """The settings in force as the engine takes them; raises InvalidError where they clash."""
    values: dict[str, Any] = {**experiment.settings_in_force(), **(overrides or {})}
    return Settings(**values)


def load_inputs(
    experiments: Sequence[Experiment], settings: Mapping[int, Settings], target_date: dt.date
) -> list[AllocationInputs]:
    """The inputs of many experiments: one query for counts and one for previous shares, however many they are.

    ``experiments`` come from ``Experiment.objects.for_allocation(target_date)``.
    """
    rows = _counts(experiments, settings)
    previous = _previous_shares(experiments, target_date)
    return [
        _inputs(
            experiment, rows[experiment.pk], previous.get(experiment.pk), settings[experiment.pk], target_date
        )
        for experiment in experiments
    ]


def _inputs(
    experiment: Experiment,
    rows: list[MetricRow],
    previous: dict[int, float] | None,
    settings: Settings,
    target_date: dt.date,
) -> AllocationInputs:
    completed = experiment.status == Status.COMPLETED
    summary = experiment.data_summary
    return AllocationInputs(
        experiment_id=experiment.pk,
        target_date=target_date,
        reward=Reward(experiment.reward),
        completed=completed,
        winner=experiment.winner_id if completed else None,
        variants=tuple(_input_variant(variant) for variant in experiment.variants.all()),
        counts=tuple(rows),
        earlier_impressions=summary.total_impressions - _impressions(rows),
        days_with_data=summary.days_with_data,
        previous=previous,
        settings=settings,
    )


def _impressions(rows: Sequence[MetricRow]) -> int:
    return sum(Counts(*row[2:]).impressions for row in rows)


def _input_variant(variant: Variant) -> InputVariant:
    return InputVariant(variant.pk, variant.key, variant.name, variant.is_control, variant.is_active)


def _counts(
    experiments: Sequence[Experiment], settings: Mapping[int, Settings]
) -> dict[int, list[MetricRow]]:
    """Rows from the first day of each experiment's window to its latest day, by experiment id."""
    spans: defaultdict[tuple[dt.date, dt.date], list[int]] = defaultdict(list)
    for experiment in experiments:
        latest = experiment.data_summary.latest_date
        if latest is not None:
            chosen = settings[experiment.pk]
            first = latest - dt.timedelta(days=chosen.maturity_days + chosen.window_days - 1)
            spans[first, latest].append(experiment.pk)
    rows: dict[int, list[MetricRow]] = {experiment.pk: [] for experiment in experiments}
    if spans:
        metrics = DailyMetric.objects.in_windows([(ids, *span) for span, ids in spans.items()])
        fields = ("variant__experiment_id", "date", "variant_id", *COUNT_NAMES)
        for experiment_id, *row in metrics.order_by("date", "variant_id").values_list(*fields):
            rows[experiment_id].append(tuple(row))
    return rows


def _previous_shares(experiments: Sequence[Experiment], target_date: dt.date) -> dict[int, dict[int, float]]:
    """The shares in force on the day before: of the last allocation with an earlier target date."""
    ids = [experiment.pk for experiment in experiments]
    last = Allocation.objects.newest_of(ids, target_date - dt.timedelta(days=1)).values("pk")
    shares: defaultdict[int, dict[int, float]] = defaultdict(dict)
    found = AllocationShare.objects.filter(allocation__in=last).order_by("variant_id")
    for experiment_id, variant_id, share in found.values_list(
        "allocation__experiment_id", "variant_id", "share"
    ):
        shares[experiment_id][variant_id] = float(share)
    return dict(shares)
