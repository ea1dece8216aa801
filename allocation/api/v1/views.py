"""/api/v1/: allocations, the ledger, assignment, statistics, simulations, backtests."""

import datetime as dt
import hashlib
from typing import Any, ClassVar, NamedTuple

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.http import http_date
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from allocation.api.kept import kept
from allocation.api.v1 import examples as api_examples
from allocation.api.v1 import schemas as serializers
from allocation.api.v1.filters import AllocationFilter
from allocation.api.v1.lab_schemas import (
    BacktestReportSerializer,
    BacktestSerializer,
    SimulationReportSerializer,
    SimulationSerializer,
)
from allocation.campaigns.guards import resume_after_guard
from allocation.campaigns.undo import undo_completion
from allocation.engine.assignment import Race
from allocation.exceptions import AllocationNotFoundError
from allocation.lab.requests import run_backtest, run_simulation
from allocation.models import Allocation
from allocation.selectors import allocation_in_force, answer_key, state_with_in_force
from allocation.services import complete_experiment, compute_allocation
from allocation.statistics.csv_file import statistics_download
from allocation.statistics.experiment import experiment_statistics
from experiments.api.fast_validation import validated
from experiments.api.idempotency import IdempotentWrites
from experiments.api.v1.examples import COMPLETION
from experiments.api.v1.schemas import CompleteSerializer, ExperimentSerializer
from experiments.api.v1.versions import ETAG, IF_MATCH, experiment_response, unless_changed
from experiments.api.v1.views import IDEMPOTENCY_KEY, CsvRenderer
from experiments.database.moment import answer_may_lag, one_moment
from experiments.exceptions import PreconditionFailedError
from experiments.selectors import find_experiment, today
from experiments.variants import find_winner

_LARGEST_ID = 2**63 - 1


@extend_schema(tags=["allocation"])
class AllocationView(IdempotentWrites):
    @extend_schema(
        operation_id="allocation_retrieve",
        responses={200: serializers.AllocationInForceSerializer, 304: None, 412: None},
        summary="The allocation in force today; never writes",
    )
    def get(self, request: Request, reference: str) -> HttpResponseBase:
        """Send the ETag back as If-None-Match and get 304 while nothing has changed."""
        return answer_in_force(request._request, reference)

    @extend_schema(
        operation_id="allocation_compute",
        request=None,
        responses={
            200: serializers.AllocationInForceSerializer,
            201: serializers.AllocationInForceSerializer,
        },
        parameters=[IDEMPOTENCY_KEY],
        summary="Compute and record today's allocation now",
    )
    def post(self, request: Request, reference: str) -> Response:
        """201 with a new revision; 200 with the recorded one where nothing has changed.

        Shares move by at most max_daily_shift from the last revision of the day before. A decision for tomorrow, which
        `manage.py allocate --date` can make, is made again on a new revision of today.
        """
        experiment, now = find_experiment(reference), timezone.now()
        entry = compute_allocation(experiment_id=experiment.pk, target_date=timezone.localdate(now), now=now)
        answer = serializers.AllocationInForceSerializer(entry.allocation_with_shares()).data
        location = reverse("v1:ledger-entry", args=[experiment.key, entry.allocation.pk])
        return Response(answer, 201 if entry.is_new else 200, headers={"Location": location})


# Where answers of each call are kept: settings.CACHES.
_ALLOCATION, _ASSIGNMENT = "v1-allocation", "assignment"


def answer_in_force(request: HttpRequest, reference: str) -> HttpResponse:
    """The allocation in force, of the worker's memory while nothing has changed; 304 where the caller has it."""
    date = today()
    state = state_with_in_force(reference, date)
    # New data change nothing here before there is a new decision; the date is in expires_at.
    key = answer_key(_ALLOCATION, state._replace(data_version=0), date)
    modified, body = kept(_ALLOCATION, key, lambda: _shown(state.experiment_id, date))
    etag = f'"{hashlib.sha256(key.encode()).hexdigest()[:32]}"'
    response = get_conditional_response(request, etag, modified)
    if response is not None and response.status_code == 412:
        raise PreconditionFailedError(
            "The allocation is not the one that If-Match or If-Unmodified-Since names."
        )
    found = response or HttpResponse(body, content_type="application/json")
    return _with_validators(found, etag, modified)


@one_moment()
def _shown(experiment_id: int, date: dt.date) -> tuple[int, bytes]:
    """The allocation in force as JSON, and since when it is so: made, come into force, or shown with other names."""
    experiment = find_experiment(experiment_id)
    found = allocation_in_force(experiment, date)
    begun = timezone.make_aware(dt.datetime.combine(found.target_date, dt.time.min))
    modified = max(found.created_at, experiment.updated_at, begun)
    return int(modified.timestamp()), JSONRenderer().render(
        serializers.AllocationInForceSerializer(found).data
    )


def _with_validators(response: HttpResponse, etag: str, modified: int) -> HttpResponse:
    response["ETag"] = etag
    response["Last-Modified"] = http_date(modified)
    # Ask again each time, cheaply: a decision may change at any moment.
    response["Cache-Control"] = "private, no-cache"
    patch_vary_headers(response, ["Authorization", "Cookie"])
    return response


@extend_schema(tags=["guards"])
class GuardsResumeView(IdempotentWrites):
    @extend_schema(
        operation_id="guards_resume",
        request=None,
        responses={200: serializers.AllocationInForceSerializer, 409: None},
        parameters=[IDEMPOTENCY_KEY],
        summary="Split again after a guard gave the control all traffic",
    )
    def post(self, request: Request, reference: str) -> Response:
        """Guards count from today on: they do not stop it at once on the same data. Who resumed is recorded."""
        experiment = find_experiment(reference)
        entry = resume_after_guard(experiment_id=experiment.pk, target_date=today(), now=timezone.now())
        return Response(serializers.AllocationInForceSerializer(entry.allocation_with_shares()).data)


@extend_schema(tags=["experiments"])
class CompleteView(IdempotentWrites):
    @extend_schema(
        operation_id="experiments_complete",
        request=CompleteSerializer,
        examples=[COMPLETION],
        responses={200: ExperimentSerializer},
        parameters=[IDEMPOTENCY_KEY, IF_MATCH, ETAG],
        summary="End the experiment: the winner, else the control, gets all traffic",
    )
    def post(self, request: Request, reference: str) -> Response:
        body = CompleteSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        winner = body.validated_data["winner"]
        with unless_changed(request, reference) as experiment:
            complete_experiment(
                experiment_id=experiment.pk,
                target_date=today(),
                now=timezone.now(),
                winner_id=None if winner is None else find_winner(experiment, winner).pk,
                decision_reason=body.validated_data["decision_reason"],
            )
            return experiment_response(experiment.pk)


@extend_schema(tags=["experiments"])
class UndoCompletionView(IdempotentWrites):
    @extend_schema(
        operation_id="experiments_complete_undo",
        request=None,
        responses={200: ExperimentSerializer, 409: None},
        parameters=[IDEMPOTENCY_KEY, IF_MATCH, ETAG],
        summary="Undo the end, within 24 hours: it is active or paused again, as before",
    )
    def post(self, request: Request, reference: str) -> Response:
        """An active one is decided from its data, a paused one gets its last split back; the decision log keeps all."""
        with unless_changed(request, reference) as experiment:
            undo_completion(experiment_id=experiment.pk, now=timezone.now())
            return experiment_response(experiment.pk)


@extend_schema(tags=["allocation"])
class LedgerView(GenericAPIView[Allocation]):
    queryset = Allocation.objects.none()  # for the schema; get_queryset narrows it
    serializer_class = serializers.AllocationSerializer
    filterset_class = AllocationFilter
    search_fields = ("reason",)
    ordering_fields = ("target_date", "revision", "created_at")

    def get_queryset(self) -> QuerySet[Allocation]:
        experiment = find_experiment(self.kwargs["reference"])
        ledger = Allocation.objects.filter(experiment=experiment).with_shares().select_related("experiment")
        return ledger.order_by("-target_date", "-revision")

    @extend_schema(
        operation_id="ledger_list",
        responses=serializers.AllocationSerializer(many=True),
        summary="Every decision, newest first, with what explains each share",
    )
    @answer_may_lag
    def get(self, request: Request, reference: str) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


@extend_schema(tags=["allocation"])
class LedgerEntryView(APIView):
    @extend_schema(
        responses={200: serializers.LedgerEntrySerializer}, summary="One decision with all that went into it"
    )
    @one_moment()
    def get(self, request: Request, reference: str, allocation_id: int) -> Response:
        experiment = find_experiment(reference)
        ledger = Allocation.objects.with_shares().defer(None).select_related("experiment")
        found = ledger.filter(experiment=experiment, pk=min(allocation_id, _LARGEST_ID)).first()
        if found is None:
            raise AllocationNotFoundError(f"Experiment {experiment.key!r} has no allocation {allocation_id}.")
        return Response(serializers.LedgerEntrySerializer(found).data)


@extend_schema(tags=["assignment"])
class AssignmentView(APIView):
    @extend_schema(
        parameters=[serializers.AssignmentQuerySerializer],
        responses={200: serializers.AssignmentSerializer},
        summary="The variant a unit sees",
    )
    def get(self, request: Request, reference: str) -> Response:
        """A unit keeps its variant as long as the shares stay as they are."""
        given = serializers.AssignmentQuerySerializer(data=request.query_params)
        given.is_valid(raise_exception=True)
        return Response(assign_one(reference, given.validated_data["unit"]))


def assign_one(reference: str, unit: str) -> dict[str, str]:
    """The body of the answer for one unit."""
    decision = _in_force(reference, today())
    return decision.assignment(unit, Race(decision.experiment_key, decision.shares).winner(unit))


@extend_schema(tags=["assignment"])
class AssignmentsView(APIView):
    required_scopes: ClassVar[dict[str, str]] = {"POST": "read"}

    @extend_schema(
        request=serializers.UnitsSerializer,
        examples=[api_examples.UNITS],
        responses={200: serializers.AssignmentsSerializer},
        summary=f"The variants that up to {serializers.MAX_UNITS:,} units see; writes nothing",
    )
    def post(self, request: Request, reference: str) -> Response:
        return Response(assign_units(reference, request.data))


def assign_units(reference: str, data: Any) -> dict[str, Any]:
    """The body of the answer for the units that a body names."""
    units: list[str] = validated(serializers.UnitsSerializer, data)["units"]
    decision = _in_force(reference, today())
    keys = Race(decision.experiment_key, decision.shares).winners(units)
    assigned = [decision.assignment(unit, key) for unit, key in zip(units, keys, strict=True)]
    return {"allocation_id": decision.allocation_id, "assignments": assigned}


class _Decision(NamedTuple):
    """A decision in force as assignment needs it: its shares and its variants' names, by key."""

    allocation_id: int
    experiment_key: str
    shares: dict[str, float]
    names: dict[str, str]

    def assignment(self, unit: str, key: str) -> dict[str, str]:
        return {"unit": unit, "variant_key": key, "variant_name": self.names[key]}


def _in_force(reference: str, date: dt.date) -> _Decision:
    """Read it, or return it of the worker's memory while nothing but data has changed."""
    state = state_with_in_force(reference, date)
    key = answer_key(_ASSIGNMENT, state._replace(data_version=0), date)
    return _Decision(*kept(_ASSIGNMENT, key, lambda: _read_in_force(state.experiment_id, date)))


@one_moment()
def _read_in_force(experiment_id: int, date: dt.date) -> _Decision:
    experiment = find_experiment(experiment_id)
    found = allocation_in_force(experiment, date)
    shares = list(found.shares.all())
    return _Decision(
        found.pk,
        experiment.key,
        {share.variant.key: float(share.share) for share in shares},
        {share.variant.key: share.variant.name for share in shares},
    )


@extend_schema(tags=["statistics"])
class StatisticsView(APIView):
    renderer_classes = (JSONRenderer, CsvRenderer)

    @extend_schema(
        responses={
            (200, "application/json"): serializers.StatisticsSerializer,
            (200, "text/csv"): OpenApiTypes.STR,
            409: None,
            422: None,
        },
        summary="Rates, uplifts, state, mismatch, convergence and rewards as of today",
    )
    @answer_may_lag
    def get(self, request: Request, reference: str) -> HttpResponseBase:
        """`Accept: text/csv` or `?format=csv` gives a line for each variant, with its rates and uplifts."""
        experiment = find_experiment(reference)
        is_csv = request.accepted_renderer.format == CsvRenderer.format
        statistics = experiment_statistics(experiment.pk, today(), with_secondary=not is_csv)
        if is_csv:
            return statistics_download(experiment.key, statistics)
        return Response(statistics.to_json())


class _ReadOnlyPost(APIView):
    """Computes and writes nothing: a read key is enough, and has a budget of its own."""

    throttled_as = "lab"
    required_scopes: ClassVar[dict[str, str]] = {"POST": "read"}


@extend_schema(tags=["simulations"])
class SimulationsView(_ReadOnlyPost):
    @extend_schema(
        request=SimulationSerializer,
        examples=[api_examples.SIMULATION],
        responses={200: SimulationReportSerializer},
        summary="Play an experiment forward with known rates",
    )
    def post(self, request: Request) -> Response:
        """The production engine beside other policies, as `manage.py simulate`."""
        body = SimulationSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        results = run_simulation(body.validated_data)
        return Response({"policies": {name: result.to_json() for name, result in results.items()}})


@extend_schema(tags=["simulations"])
class BacktestsView(_ReadOnlyPost):
    @extend_schema(
        request=BacktestSerializer,
        examples=[api_examples.BACKTEST],
        responses={200: BacktestReportSerializer},
        summary="What would have been saved in past tests",
    )
    def post(self, request: Request) -> Response:
        """The production engine on tests that are over, as `manage.py backtest`."""
        body = BacktestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        values = body.validated_data
        policies = {name: result.to_json() for name, result in run_backtest(values).items()}
        return Response({"tests": len(values["tests"]), "policies": policies})
