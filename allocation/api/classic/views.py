"""The classic API's calls about allocations: thin over the services."""

import datetime as dt
from collections.abc import Iterable
from hashlib import sha256
from typing import Any, NamedTuple, Self

import numpy as np
import orjson
from django.core.cache import caches
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

from allocation.api.kept import kept
from allocation.api.schemas import AsOfSerializer
from allocation.ledger.entries import Entry
from allocation.ledger.inputs import AllocationInputs
from allocation.ledger.loading import effective_settings
from allocation.ledger.statements import recorded_inputs
from allocation.selectors import (
    HISTORY_DATES,
    ExperimentState,
    HistoryDate,
    allocation_in_force,
    answer_key,
    history_dates,
    state_with_newest,
)
from allocation.services import compute_allocation, known_allocation, preview_allocation
from experiments.api.fields import DayField, ExperimentReferenceField, QueryNumberField
from experiments.database.locks import Turns
from experiments.metrics import COUNT_NAMES
from experiments.models import Experiment, Status
from experiments.selectors import find_experiment
from experiments.settings_schema import ALGORITHM_SETTINGS

ALGORITHM = "thompson_sampling"
_turns = Turns()
_WINDOW = ALGORITHM_SETTINGS["window_days"]


class AllocationQuerySerializer(serializers.Serializer[Any]):
    experiment_id = ExperimentReferenceField()
    window_days = QueryNumberField(required=False, min_value=int(_WINDOW.low), max_value=int(_WINDOW.high))


class HistoryQuerySerializer(serializers.Serializer[Any]):
    start_date = DayField(required=False)
    end_date = DayField(required=False)


class HistoryEntrySerializer(serializers.Serializer[Any]):
    date = serializers.DateField()
    as_of = AsOfSerializer(help_text="The moment that the numbers hold for.")
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
    as_of = AsOfSerializer(help_text="The moment that the numbers hold for.")
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
    responses={200: AllocationAnswerSerializer, 404: None, 409: None},
)
@api_view(["GET"])
def allocation(request: Request) -> Response:
    """Compute and record today's allocation. Another window_days than the experiment's is answered, not recorded."""
    query = AllocationQuerySerializer(data=request.query_params)
    query.is_valid(raise_exception=True)
    answer = allocation_json(query.validated_data["experiment_id"], query.validated_data.get("window_days"))
    return Response(orjson.Fragment(answer))


# Where answers of each call are kept: settings.CACHES.
_ALLOCATION, _HISTORY = "allocation", "history"


def allocation_json(reference: int | str, window_days: int | None = None) -> bytes:
    """The body of the answer; of the worker's memory while nothing has changed."""
    state, moment = state_with_newest(reference), Moment.now()
    if (answer := caches[_ALLOCATION].get(_key(state, moment, window_days))) is None:
        answer = _answer_in_turn(state, window_days, moment)
    return bytes(answer)


class Moment(NamedTuple):
    """When it was asked; read once, since midnight may pass meanwhile."""

    time: dt.datetime
    date: dt.date

    @classmethod
    def now(cls) -> Self:
        time = timezone.now()
        return cls(time, timezone.localdate(time))


def _key(state: ExperimentState, moment: Moment, window_days: int | None) -> str:
    return answer_key(_ALLOCATION, state, moment.date, window_days)


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
    start, end = query.validated_data.get("start_date"), query.validated_data.get("end_date")
    return Response(orjson.Fragment(history_json(reference, start, end)))


def history_json(reference: str, start: dt.date | None = None, end: dt.date | None = None) -> bytes:
    """The body of the answer; of the worker's memory while nothing has changed."""
    state = state_with_newest(reference)
    key = answer_key(_HISTORY, state, start, end)
    return bytes(kept(_HISTORY, key, lambda: _history_body(state.experiment_id, start, end)))


def _history_body(experiment_id: int, start: dt.date | None, end: dt.date | None) -> bytes:
    found = history_dates(experiment_id, start=start, end=end)
    return orjson.dumps({"experiment_id": experiment_id, "history": _history(found)})


def _answer_in_turn(state: ExperimentState, window_days: int | None, moment: Moment) -> bytes:
    """One thread of a worker decides; the others that ask for the same meanwhile get its answer."""
    with _turns.take((state.experiment_id, window_days)) as has_waited:
        if has_waited:
            state = state_with_newest(state.experiment_id)
            if (answer := caches[_ALLOCATION].get(_key(state, moment, window_days))) is not None:
                return bytes(answer)
        return _computed_answer(state, window_days, moment)


def _computed_answer(before: ExperimentState, asked_window: int | None, moment: Moment) -> bytes:
    """Compute, record and answer in JSON; cached under the state that the answer rests on.

    Whatever else changed since ``before`` was read makes the answer newer than its key, and that key is never asked for
    again: states do not return.
    """
    experiment, entry, asked = _decision(before, asked_window, moment)
    answer = orjson.dumps(_allocation_body(experiment, entry, asked))
    # made now, or by another worker since ``before`` was read: either way the newest that is known
    newest = max(entry.allocation.pk or 0, before.allocation_id or 0)
    state = before._replace(allocation_id=newest or None)
    caches[_ALLOCATION].set(_key(state, moment, asked_window), answer)
    _see(state)
    return answer


# The newest decision of each experiment at this worker's last answer; nothing but a guess rests on it.
_seen: dict[int, int | None] = {}
_MOST_SEEN = 20_000


def _may_be_known(state: ExperimentState) -> bool:
    """Guess that another worker has decided: there is a newer decision than at this worker's last answer."""
    last = _seen.get(state.experiment_id)
    return last is not None and last != state.allocation_id


def _see(state: ExperimentState) -> None:
    if len(_seen) >= _MOST_SEEN:
        _seen.clear()
    _seen[state.experiment_id] = state.allocation_id


def forget() -> None:
    """Drop what is guessed of decisions."""
    _seen.clear()


def _decision(
    state: ExperimentState, asked_window: int | None, moment: Moment
) -> tuple[Experiment, Entry, int | None]:
    """The experiment, its decision, and the window asked for if it is another than the experiment's own.

    Such a decision is not recorded.
    """
    pk, (now, date) = state.experiment_id, moment
    if asked_window is not None:
        own_window = effective_settings(find_experiment(pk)).window_days
        if asked_window != own_window:
            overrides = {"window_days": asked_window}
            entry = preview_allocation(experiment_id=pk, target_date=date, now=now, overrides=overrides)
            return entry.allocation.experiment, entry, asked_window
    if state.status == Status.PAUSED:
        experiment = find_experiment(pk)
        found = allocation_in_force(experiment, date)
        entry = Entry(found, tuple(found.shares.all()))
    else:
        known = known_allocation(experiment_id=pk, target_date=date) if _may_be_known(state) else None
        entry = known or compute_allocation(experiment_id=pk, target_date=date, now=now, for_visitors=True)
        experiment = entry.allocation.experiment
    return experiment, entry, None


def _allocation_body(experiment: Experiment, entry: Entry, asked_window: int | None) -> dict[str, object]:
    decision = entry.allocation
    settings = entry.inputs.settings if entry.inputs else effective_settings(experiment)
    window_days = asked_window or settings.longest_window
    return {
        "allocations": {share.variant.name: float(share.share) for share in entry.shares},
        "algorithm": ALGORITHM,
        "parameters": {**vars(settings), "window_days": window_days},
        "experiment_id": experiment.pk,
        "window_days": window_days,
        "as_of": _as_of(decision.target_date, decision.data_through),
        "timestamp": decision.created_at.isoformat(),
        "reason": decision.reason,
        "limits": {share.variant.name: share.bound for share in entry.shares},
        "summary": _summary(experiment, entry),
        "history": orjson.Fragment(_history_json(experiment, entry)),
    }


def _history_json(experiment: Experiment, entry: Entry) -> bytes:
    """The latest dates, newest first. Once today is decided those before it stay as they are: they are read once."""
    decision = entry.allocation
    if decision.pk is None or getattr(experiment, "next_decision", decision.target_date) is not None:
        return orjson.dumps(_history(history_dates(experiment.pk)))
    shares = {share.variant.name: float(share.share) for share in entry.shares}
    newest = HistoryDate(
        decision.target_date,
        decision.data_through,
        decision.window_impressions,
        decision.window_clicks,
        shares,
    )
    before = _earlier_json(experiment, decision.target_date)
    return b"[%b%b]" % (orjson.dumps(_history([newest])[0]), before and b"," + before)


def _earlier_json(experiment: Experiment, date: dt.date) -> bytes:
    """The dates before a decided one, without brackets; kept until a variant gets another name."""
    names = repr([(variant.pk, variant.name) for variant in experiment.every_variant()])
    known = (experiment.pk, vars(experiment)["decision_before"], date, sha256(names.encode()).hexdigest())
    key = ":".join(map(str, ("earlier", *known)))
    if (earlier := caches[_HISTORY].get(key)) is None:
        end = dt.date.fromordinal(max(date.toordinal() - 1, 1))
        found = history_dates(experiment.pk, end=end, dates=HISTORY_DATES - 1)
        earlier = orjson.dumps(_history(found))[1:-1]
        caches[_HISTORY].set(key, earlier)
    return bytes(earlier)


def _summary(experiment: Experiment, entry: Entry) -> dict[str, object]:
    """The window's counts by variant, as the decision recorded them: no further query for the rows."""
    decision = entry.allocation
    inputs = entry.inputs or AllocationInputs.from_json(recorded_inputs(decision), experiment.pk)
    start, end = decision.window_start, decision.window_end
    table = inputs.table.between(start or dt.date.max, end or dt.date.min)
    totals = np.stack([column.sum(axis=0) for column in table.counts], axis=1).tolist()
    names = {variant.pk: variant.name for variant in experiment.every_variant()}
    return {
        "total_impressions": decision.window_impressions,
        "total_clicks": decision.window_clicks,
        "variants": [
            {"name": names[variant.id], **dict(zip(COUNT_NAMES, counts, strict=True))}
            for variant, counts in zip(inputs.variants, totals, strict=True)
        ],
    }


def _as_of(date: dt.date, data_through: dt.date | None) -> dict[str, str | None]:
    return {"date": date.isoformat(), "data_through": data_through.isoformat() if data_through else None}


def _history(dates: Iterable[HistoryDate]) -> list[dict[str, object]]:
    return [
        {
            "date": entry.target_date.isoformat(),
            "as_of": _as_of(entry.target_date, entry.data_through),
            "algorithm": ALGORITHM,
            "allocations": entry.shares,
            "total_impressions": entry.window_impressions,
            "total_clicks": entry.window_clicks,
        }
        for entry in dates
    ]
