"""The classic API's calls about allocations: thin over the services."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import orjson
from django.core.cache import cache
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

from allocation.inputs import effective_settings
from allocation.models import Allocation, AllocationShare
from allocation.selectors import (
    ExperimentState,
    allocation_history,
    allocation_in_force,
    answer_key,
    state_with_newest,
    unchanged_but_for,
)
from allocation.services import compute_allocation, preview_allocation
from experiments.api.fields import DayField, ExperimentReferenceField
from experiments.models import Experiment, Status
from experiments.selectors import find_experiment, today
from experiments.settings_schema import ALGORITHM_SETTINGS

ALGORITHM = "thompson_sampling"
_WINDOW = ALGORITHM_SETTINGS["window_days"]


class AllocationQuerySerializer(serializers.Serializer[Any]):
    experiment_id = ExperimentReferenceField()
    window_days = serializers.IntegerField(
        required=False, min_value=int(_WINDOW.low), max_value=int(_WINDOW.high)
    )


class HistoryQuerySerializer(serializers.Serializer[Any]):
    start_date = DayField(required=False)
    end_date = DayField(required=False)


class HistoryEntrySerializer(serializers.Serializer[Any]):
    date = serializers.DateField()
    algorithm = serializers.CharField()
    allocations = serializers.DictField(child=serializers.FloatField())
    total_impressions = serializers.IntegerField(help_text="In the decision's window.")
    total_clicks = serializers.IntegerField(help_text="In the decision's window.")


class HistoryAnswerSerializer(serializers.Serializer[Any]):
    experiment_id = serializers.IntegerField()
    history = HistoryEntrySerializer(many=True)


class SummaryVariantSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    impressions = serializers.IntegerField()
    clicks = serializers.IntegerField()
    conversions = serializers.IntegerField()


class SummarySerializer(serializers.Serializer[Any]):
    total_impressions = serializers.IntegerField()
    total_clicks = serializers.IntegerField()
    variants = SummaryVariantSerializer(many=True)


class AllocationAnswerSerializer(serializers.Serializer[Any]):
    allocations = serializers.DictField(
        child=serializers.FloatField(), help_text="Each variant's share; they sum to 1."
    )
    algorithm = serializers.CharField()
    parameters = serializers.DictField(help_text="The settings that were used.")
    experiment_id = serializers.IntegerField()
    window_days = serializers.IntegerField()
    timestamp = serializers.DateTimeField()
    reason = serializers.CharField(help_text="The decision in one line.")
    limits = serializers.DictField(
        child=serializers.CharField(), help_text="The limit that bound each share, or none."
    )
    summary = SummarySerializer()
    history = HistoryEntrySerializer(many=True)


@extend_schema(
    tags=["classic"],
    operation_id="classic_get_allocation",
    parameters=[AllocationQuerySerializer],
    responses={200: AllocationAnswerSerializer},
)
@api_view(["GET"])
def allocation(request: Request) -> Response:
    """Compute and record today's allocation. Another window_days than the experiment's is answered, not recorded."""
    query = AllocationQuerySerializer(data=request.query_params)
    query.is_valid(raise_exception=True)
    state = state_with_newest(query.validated_data["experiment_id"])
    window_days, date = query.validated_data.get("window_days"), today()
    if (answer := cache.get(answer_key("allocation", state, date, window_days))) is None:
        answer = _computed_answer(state, window_days, date)
    return Response(orjson.Fragment(answer))


@extend_schema(
    tags=["classic"],
    operation_id="classic_get_history",
    parameters=[HistoryQuerySerializer],
    responses={200: HistoryAnswerSerializer},
)
@api_view(["GET"])
def history(request: Request, reference: str) -> Response:
    """The last decision for each of the latest 30 dates, newest first."""
    query = HistoryQuerySerializer(data=request.query_params)
    query.is_valid(raise_exception=True)
    state = state_with_newest(reference)
    start, end = query.validated_data.get("start_date"), query.validated_data.get("end_date")
    key = answer_key("history", state, start, end)
    if (answer := cache.get(key)) is None:
        found = allocation_history(state.experiment_id, start=start, end=end)
        answer = orjson.dumps({"experiment_id": state.experiment_id, "history": _history(found)})
        cache.set(key, answer)
    return Response(orjson.Fragment(answer))


def _computed_answer(before: ExperimentState, asked_window: int | None, date: dt.date) -> bytes:
    """Computes, records and answers in JSON; cached only where nothing else has changed from before to after.

    ``date`` was read once: midnight may pass meanwhile, and one day's answer must not be kept as the next one's.
    """
    experiment = find_experiment(before.experiment_id)
    own_window = effective_settings(experiment).window_days
    window_days = own_window if asked_window is None else asked_window
    decision, shares = _decision(experiment, window_days, date, recorded=window_days == own_window)
    answer = orjson.dumps(_allocation_body(experiment, window_days, decision, shares))
    after = state_with_newest(experiment.pk)
    if unchanged_but_for(decision, before, after):
        cache.set(answer_key("allocation", after, date, asked_window), answer)
    return answer


def _decision(
    experiment: Experiment, window_days: int, date: dt.date, *, recorded: bool
) -> tuple[Allocation, Sequence[AllocationShare]]:
    if not recorded:
        return preview_allocation(
            experiment_id=experiment.pk,
            target_date=date,
            now=timezone.now(),
            overrides={"window_days": window_days},
        )
    if experiment.status == Status.PAUSED:
        found = allocation_in_force(experiment, date)
    else:
        found = compute_allocation(experiment_id=experiment.pk, target_date=date, now=timezone.now())
    return found, list(found.shares.select_related("variant").order_by("variant_id"))


def _allocation_body(
    experiment: Experiment, window_days: int, decision: Allocation, shares: Sequence[AllocationShare]
) -> dict[str, object]:
    return {
        "allocations": _shares(shares),
        "algorithm": ALGORITHM,
        "parameters": asdict(effective_settings(experiment, {"window_days": window_days})),
        "experiment_id": experiment.pk,
        "window_days": window_days,
        "timestamp": decision.created_at.isoformat(),
        "reason": decision.reason,
        "limits": {share.variant.name: share.bound for share in shares},
        "summary": _summary(experiment, decision),
        "history": _history(allocation_history(experiment)),
    }


def _summary(experiment: Experiment, decision: Allocation) -> dict[str, object]:
    """The window's counts by variant, as the decision recorded them: no further query for the rows."""
    start, end = str(decision.window_start), str(decision.window_end)
    totals = {variant["id"]: [0, 0, 0] for variant in decision.inputs["variants"]}
    for date, variant_id, *counts in decision.inputs["counts"]:
        if start <= date <= end:
            totals[variant_id] = [
                total + count for total, count in zip(totals[variant_id], counts, strict=True)
            ]
    names = dict(experiment.variants.values_list("pk", "name"))
    variants = [
        {"name": names[pk], "impressions": impressions, "clicks": clicks, "conversions": conversions}
        for pk, (impressions, clicks, conversions) in totals.items()
    ]
    return {
        "total_impressions": decision.window_impressions,
        "total_clicks": decision.window_clicks,
        "variants": variants,
    }


def _history(allocations: Iterable[Allocation]) -> list[dict[str, object]]:
    return [
        {
            "date": allocation.target_date.isoformat(),
            "algorithm": ALGORITHM,
            "allocations": _shares(allocation.shares.all()),
            "total_impressions": allocation.window_impressions,
            "total_clicks": allocation.window_clicks,
        }
        for allocation in allocations
    ]


def _shares(shares: Iterable[AllocationShare]) -> dict[str, float]:
    return {share.variant.name: float(share.share) for share in shares}
