"""From the database to the engine's question: what was observed, what was in force, what is asked.

``inputs`` is the whole question as JSON, recorded with the answer: it can be asked again at any time.
"""

import datetime as dt
import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from django.db.models import Prefetch

from allocation.engine import ENGINE_VERSION, History, Request, Settings
from allocation.models import Allocation, AllocationShare
from experiments.metrics import Reward
from experiments.models import DailyMetric, Experiment, Status, Variant
from experiments.settings_schema import SettingValue

# Date, variant id, impressions, clicks, conversions.
MetricRow = tuple[dt.date, int, int, int, int]


@dataclass(frozen=True)
class Question:
    """One experiment and everything its allocation for ``target_date`` depends on."""

    experiment: Experiment
    variants: list[Variant]
    target_date: dt.date
    rows: list[MetricRow]
    earlier_impressions: int
    days_with_data: int
    previous: dict[int, float] | None
    settings: Settings

    def inputs(self) -> dict[str, Any]:
        """All that the engine is given, as plain JSON."""
        return {
            "engine_version": ENGINE_VERSION,
            "target_date": self.target_date.isoformat(),
            "reward": self.experiment.reward,
            "completed": self.experiment.status == Status.COMPLETED,
            "winner": self.experiment.winner_id if self.experiment.status == Status.COMPLETED else None,
            "variants": [
                {"id": v.pk, "key": v.key, "is_control": v.is_control, "is_active": v.is_active}
                for v in self.variants
            ],
            "counts": [[date.isoformat(), *counts] for date, *counts in self.rows],
            "earlier_impressions": self.earlier_impressions,
            "days_with_data": self.days_with_data,
            "previous": None
            if self.previous is None
            else {str(pk): share for pk, share in self.previous.items()},
            "settings": asdict(self.settings),
        }

    def request(self) -> Request:
        return request_from_inputs(self.inputs())


def digest(inputs: Mapping[str, Any]) -> str:
    """SHA-256 of the inputs in one canonical spelling."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def request_from_inputs(inputs: Mapping[str, Any]) -> Request:
    """The engine's question from recorded inputs, and from nothing else."""
    variants = inputs["variants"]
    place = {variant["id"]: index for index, variant in enumerate(variants)}
    previous = inputs["previous"]
    control = [index for index, variant in enumerate(variants) if variant["is_control"]]
    return Request(
        history=_history(inputs, place),
        target_day=dt.date.fromisoformat(inputs["target_date"]).toordinal(),
        active=np.array([variant["is_active"] for variant in variants], dtype=bool),
        control=control[0] if control else None,
        previous=np.full(len(variants), np.nan)
        if previous is None
        else np.array([previous.get(str(variant["id"]), 0.0) for variant in variants], dtype=np.float64),
        settings=Settings(**inputs["settings"]),
    )


def question_from_inputs(inputs: Mapping[str, Any], experiment_id: int) -> Question:
    """The question itself, from recorded inputs and from nothing else; variants go by their keys."""
    experiment = Experiment(
        pk=experiment_id,
        reward=inputs["reward"],
        status=Status.COMPLETED if inputs["completed"] else Status.ACTIVE,
        winner_id=inputs["winner"],
    )
    previous = inputs["previous"]
    return Question(
        experiment=experiment,
        variants=[_variant_from_inputs(variant, experiment) for variant in inputs["variants"]],
        target_date=dt.date.fromisoformat(inputs["target_date"]),
        rows=[
            (dt.date.fromisoformat(date), pk, impressions, clicks, conversions)
            for date, pk, impressions, clicks, conversions in inputs["counts"]
        ],
        earlier_impressions=inputs["earlier_impressions"],
        days_with_data=inputs["days_with_data"],
        previous=None if previous is None else {int(pk): share for pk, share in previous.items()},
        settings=Settings(**inputs["settings"]),
    )


def _variant_from_inputs(recorded: Mapping[str, Any], experiment: Experiment) -> Variant:
    return Variant(
        pk=recorded["id"],
        experiment=experiment,
        key=recorded["key"],
        name=recorded["key"],
        is_control=recorded["is_control"],
        is_active=recorded["is_active"],
    )


def effective_settings(
    experiment: Experiment, overrides: Mapping[str, SettingValue] | None = None
) -> Settings:
    """The settings in force as the engine takes them; raises InvalidError where they clash."""
    values: dict[str, Any] = {**experiment.settings_in_force(), **(overrides or {})}
    return Settings(**values)


def load_questions(
    experiments: Sequence[Experiment],
    settings: Mapping[int, Settings],
    target_date: dt.date,
) -> list[Question]:
    """Variants, counts and previous shares of many experiments: one query each, however many they are.

    ``experiments`` come from with_data_summary(target_date) with their variants prefetched.
    """
    rows = _counts(experiments, settings)
    previous = _previous_shares(experiments, target_date)
    return [
        Question(
            experiment=experiment,
            variants=list(experiment.variants.all()),
            target_date=target_date,
            rows=rows[experiment.pk],
            days_with_data=experiment.days_with_data,  # type: ignore[attr-defined]  # with_data_summary
            earlier_impressions=int(_total(experiment)) - sum(row[2] for row in rows[experiment.pk]),
            previous=previous.get(experiment.pk),
            settings=settings[experiment.pk],
        )
        for experiment in experiments
    ]


def variants_in_order() -> "Prefetch[Any]":
    return Prefetch("variants", queryset=Variant.objects.order_by("id"))


def _total(experiment: Experiment) -> int:
    total: int = experiment.total_impressions  # type: ignore[attr-defined]  # annotated by with_data_summary
    return total


def _counts(
    experiments: Sequence[Experiment], settings: Mapping[int, Settings]
) -> dict[int, list[MetricRow]]:
    """Every row from the first day of an experiment's window to its latest day, immature days too."""
    spans: defaultdict[tuple[dt.date, dt.date], list[int]] = defaultdict(list)
    for experiment in experiments:
        latest: dt.date | None = experiment.latest_date  # type: ignore[attr-defined]  # with_data_summary
        if latest is not None:
            chosen = settings[experiment.pk]
            first = latest - dt.timedelta(days=chosen.maturity_days + chosen.window_days - 1)
            spans[first, latest].append(experiment.pk)
    rows: dict[int, list[MetricRow]] = {experiment.pk: [] for experiment in experiments}
    if spans:
        metrics = DailyMetric.objects.in_windows([(ids, *span) for span, ids in spans.items()])
        fields = ("variant__experiment_id", "date", "variant_id", "impressions", "clicks", "conversions")
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


def _history(inputs: Mapping[str, Any], place: Mapping[int, int]) -> History:
    """Recorded rows as arrays of days by variants."""
    counts = [(dt.date.fromisoformat(date).toordinal(), *row) for date, *row in inputs["counts"]]
    days = sorted({day for day, *_ in counts})
    index = {day: n for n, day in enumerate(days)}
    observed = {name: np.zeros((len(days), len(place))) for name in ("impressions", "clicks", "conversions")}
    for day, variant_id, *values in counts:
        for name, value in zip(observed, values, strict=True):
            observed[name][index[day], place[variant_id]] = value
    reward = Reward(inputs["reward"])
    return History(
        days=np.array(days, dtype=np.int64),
        impressions=observed["impressions"],
        trials=observed[reward.trials_count.name],
        successes=observed[reward.successes_count.name],
        earlier_impressions=float(inputs["earlier_impressions"]),
    )
