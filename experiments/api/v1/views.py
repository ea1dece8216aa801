"""Views of /api/v1/ for experiments and daily metrics; each calls one service."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    extend_schema,
    extend_schema_view,
)
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.generics import GenericAPIView
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from experiments.api.filters import ExperimentFilter, MetricFilter
from experiments.api.idempotency import HEADER, KEY_PATTERN, IdempotentWrites
from experiments.api.v1 import examples as api_examples
from experiments.api.v1 import schemas as serializers
from experiments.api.v1.event_schemas import MetricSerializer
from experiments.api.v1.versions import (
    ETAG,
    IF_MATCH,
    IF_NONE_MATCH,
    experiment_response,
    is_known,
    unless_changed,
)
from experiments.campaign.models import BLANK_CAMPAIGN, CAMPAIGN_FIELDS
from experiments.database.moment import one_moment
from experiments.exceptions import InvalidError, Issue
from experiments.metrics import MEASURE_NAMES
from experiments.models import DailyMetric, Experiment, Status
from experiments.selectors import find_experiment
from experiments.services import (
    archive_experiment,
    change_status,
    create_experiment,
    delete_experiment,
    duplicate_experiment,
    update_experiment,
)
from experiments.tables.export import metrics_download

IDEMPOTENCY_KEY = OpenApiParameter(
    HEADER,
    {"type": "string", "pattern": KEY_PATTERN},
    OpenApiParameter.HEADER,
    description="The same key and body answer the first answer again, for 24 h.",
)
_CHANGES = [IDEMPOTENCY_KEY, IF_MATCH, ETAG]
_action = extend_schema(request=None, responses={200: serializers.ExperimentSerializer}, parameters=_CHANGES)


@extend_schema(tags=["experiments"])
@extend_schema_view(
    list=extend_schema(summary="Experiments, newest first; archived ones only when asked for")
)
class ExperimentViewSet(IdempotentWrites, mixins.ListModelMixin, GenericViewSet[Experiment]):
    serializer_class = serializers.ExperimentSerializer
    filterset_class = ExperimentFilter
    search_fields = ("name", "key", "description")
    ordering_fields = ("created_at", "updated_at", "name", "status")
    lookup_url_kwarg = "reference"
    lookup_value_regex = "[^/]+"
    required_scopes: ClassVar[dict[str, str]] = {"DELETE": "admin"}

    def get_queryset(self) -> QuerySet[Experiment]:
        found = Experiment.objects.with_variants()
        return found if "archived" in self.request.query_params else found.filter(archived_at=None)

    @extend_schema(
        request=serializers.NewExperimentSerializer,
        examples=[api_examples.NEW_EXPERIMENT],
        responses={201: serializers.ExperimentSerializer},
        parameters=[IDEMPOTENCY_KEY, ETAG],
        summary="Create an experiment, with variants and settings if you like",
    )
    def create(self, request: Request) -> Response:
        body = serializers.NewExperimentSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        experiment = create_experiment(now=timezone.now(), **_creation(body.validated_data))
        location = reverse("v1:experiment-detail", args=[experiment.key])
        return experiment_response(experiment.pk, status.HTTP_201_CREATED, {"Location": location})

    @extend_schema(
        responses={200: serializers.ExperimentSerializer, 304: None},
        parameters=[IF_NONE_MATCH, ETAG],
        summary="One experiment, by id or key",
    )
    @one_moment()
    def retrieve(self, request: Request, reference: str) -> Response:
        """Send the `ETag` back as `If-None-Match` and get 304 while nothing of it has changed."""
        found = experiment_response(reference, headers={"Cache-Control": "private, no-cache"})
        return Response(status=304, headers=found.headers) if is_known(request, found["ETag"]) else found

    @extend_schema(
        request=serializers.ExperimentReplacementSerializer,
        examples=[api_examples.REPLACEMENT],
        responses={200: serializers.ExperimentSerializer},
        parameters=[IF_MATCH, ETAG],
        summary="Replace name, description, reward, settings and the campaign's fields",
    )
    def update(self, request: Request, reference: str) -> Response:
        body = serializers.ExperimentReplacementSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        blank: dict[str, Any] = dict.fromkeys(serializers.SettingsSerializer().fields)
        values = {"description": "", **BLANK_CAMPAIGN, **body.validated_data}
        return self._update(request, reference, {**values, "settings": blank | values.get("settings", {})})

    @extend_schema(
        request=serializers.ExperimentChangeSerializer,
        examples=[api_examples.CHANGE],
        responses={200: serializers.ExperimentSerializer},
        parameters=[IF_MATCH, ETAG],
        summary="Change what is given",
    )
    def partial_update(self, request: Request, reference: str) -> Response:
        """Send the `ETag` that you read as `If-Match`, and a change that somebody else has made meanwhile is a 412, not
        overwritten.
        """
        body = serializers.ExperimentChangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        return self._update(request, reference, body.validated_data)

    @extend_schema(
        responses={204: None},
        parameters=[IF_MATCH],
        summary="Delete an experiment with all its data and decisions",
    )
    def destroy(self, request: Request, reference: str) -> Response:
        with unless_changed(request, reference) as experiment:
            delete_experiment(experiment_id=experiment.pk)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @_action
    @action(detail=True, methods=["post"])
    def start(self, request: Request, reference: str) -> Response:
        """Let a draft take events and get allocations."""
        return self._move(request, reference, Status.ACTIVE, from_status=Status.DRAFT)

    @_action
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, reference: str) -> Response:
        """Compute nothing new; events are taken, the last allocation stays in force."""
        return self._move(request, reference, Status.PAUSED)

    @_action
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, reference: str) -> Response:
        """Go on after a pause."""
        return self._move(request, reference, Status.ACTIVE, from_status=Status.PAUSED)

    @_action
    @action(detail=True, methods=["post"])
    def archive(self, request: Request, reference: str) -> Response:
        """Put an experiment that is not running out of sight; its data stays."""
        return self._archive(request, reference, archived=True)

    @_action
    @action(detail=True, methods=["post"])
    def unarchive(self, request: Request, reference: str) -> Response:
        """Bring an archived experiment back into sight."""
        return self._archive(request, reference, archived=False)

    @extend_schema(request=None, responses={201: serializers.ExperimentSerializer}, parameters=_CHANGES)
    @action(detail=True, methods=["post"])
    def duplicate(self, request: Request, reference: str) -> Response:
        """A draft with the same variants, reward and settings, and no data."""
        with unless_changed(request, reference) as experiment:
            made = duplicate_experiment(experiment_id=experiment.pk, now=timezone.now())
        location = reverse("v1:experiment-detail", args=[made.key])
        return experiment_response(made.pk, status.HTTP_201_CREATED, {"Location": location})

    def _update(self, request: Request, reference: str, values: dict[str, Any]) -> Response:
        with unless_changed(request, reference) as experiment:
            update_experiment(experiment_id=experiment.pk, now=timezone.now(), **values)
            return experiment_response(experiment.pk)

    def _move(
        self, request: Request, reference: str, to: Status, from_status: Status | None = None
    ) -> Response:
        with unless_changed(request, reference) as experiment:
            change_status(experiment_id=experiment.pk, to=to, now=timezone.now(), from_status=from_status)
            return experiment_response(experiment.pk)

    def _archive(self, request: Request, reference: str, *, archived: bool) -> Response:
        with unless_changed(request, reference) as experiment:
            archive_experiment(experiment_id=experiment.pk, now=timezone.now(), archived=archived)
            return experiment_response(experiment.pk)


def _creation(values: dict[str, Any]) -> dict[str, Any]:
    """Return the service's arguments: the names in order, and the name of the variant marked as control."""
    variants = values.pop("variants")
    marked = [index for index, variant in enumerate(variants) if variant["is_control"]]
    if len(marked) > 1:
        message = "only one variant can be the control"
        raise InvalidError(
            [Issue(f"variants[{index}].is_control", "duplicate", message) for index in marked[1:]]
        )
    control = variants[marked[0]]["name"] if marked else None
    campaign = {name: values.pop(name) for name in CAMPAIGN_FIELDS if name in values}
    return {
        **values,
        "campaign": campaign,
        "variants": [variant["name"] for variant in variants],
        "control": control,
    }


class CsvRenderer(BaseRenderer):
    """Accepts requests for CSV, which the view streams itself; renders only the answer to OPTIONS, as JSON."""

    media_type = "text/csv"
    format = "csv"

    def render(self, data: Any, *args: Any, **kwargs: Any) -> bytes:
        return JSONRenderer().render(data)


@extend_schema(tags=["metrics"])
class MetricsView(GenericAPIView[DailyMetric]):
    queryset = DailyMetric.objects.none()  # for the schema; get_queryset narrows it
    renderer_classes = (JSONRenderer, CsvRenderer)
    serializer_class = MetricSerializer
    filterset_class = MetricFilter
    search_fields = ("variant__name",)
    ordering_fields = ("date", *MEASURE_NAMES)

    def get_queryset(self) -> QuerySet[DailyMetric]:
        experiment = find_experiment(self.kwargs["reference"])
        rows = DailyMetric.objects.filter(variant__experiment=experiment).select_related("variant")
        return rows.order_by("date", "variant_id")

    @extend_schema(
        summary="Daily rows: JSON in pages, or all as CSV",
        responses={
            (200, "application/json"): MetricSerializer(many=True),
            (200, "text/csv"): OpenApiTypes.STR,
        },
    )
    @one_moment()
    def get(self, request: Request, reference: str) -> HttpResponseBase:
        """`Accept: text/csv` or `?format=csv` streams the file that the upload takes."""
        rows = self.filter_queryset(self.get_queryset())
        if request.accepted_renderer.format == CsvRenderer.format:
            return metrics_download(find_experiment(reference), rows)
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(self.get_serializer(page, many=True).data)
