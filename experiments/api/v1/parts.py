"""Views of /api/v1/ for an experiment's variants, notes and guards; each calls one service."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from django.db.models import Model, QuerySet
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from experiments.api.filters import GuardFilter, NoteFilter, VariantFilter
from experiments.api.idempotency import IdempotentWrites
from experiments.api.v1 import examples as api_examples
from experiments.api.v1 import schemas as serializers
from experiments.api.v1.versions import IF_MATCH, unless_changed
from experiments.api.v1.views import IDEMPOTENCY_KEY
from experiments.campaign.models import Guard, Note
from experiments.campaign.watch import (
    add_guard,
    add_note,
    change_guard,
    delete_guard,
    delete_note,
    find_guard,
    find_note,
)
from experiments.database.moment import one_moment
from experiments.models import Experiment, Variant
from experiments.selectors import find_experiment
from experiments.variants import add_variant, change_variant, find_variant

Part = TypeVar("Part", bound=Model)
Values = dict[str, Any]


# All parts of one kind that an experiment has: a page of them, and a new one. As a docstring this would describe each
# call in the OpenAPI document.
class _PartsView(IdempotentWrites, GenericAPIView[Part], ABC):
    new_serializer: ClassVar[type[BaseSerializer[Any]]]
    path_of_one: ClassVar[str]

    @abstractmethod
    def add(self, experiment: Experiment, values: Values) -> Part: ...

    @one_moment()
    def get(self, request: Request, reference: str) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def post(self, request: Request, reference: str) -> Response:
        body = self.new_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        with unless_changed(request, reference) as experiment:
            part = self.add(experiment, body.validated_data)
        location = reverse(self.path_of_one, args=[experiment.key, part.pk])
        return Response(self.get_serializer(part).data, 201, headers={"Location": location})


# One part, to be read.
class _PartView(APIView, ABC):
    serializer: ClassVar[type[BaseSerializer[Any]]]

    @abstractmethod
    def find(self, experiment: Experiment, number: int) -> Model: ...

    @one_moment()
    def get(self, request: Request, reference: str, **number: int) -> Response:
        return Response(self.serializer(self.find(find_experiment(reference), *number.values())).data)


# One that may be changed, too.
class _ChangeablePartView(_PartView):
    change_serializer: ClassVar[type[BaseSerializer[Any]]]

    @abstractmethod
    def change(self, experiment: Experiment, values: Values, number: int) -> Model: ...

    def patch(self, request: Request, reference: str, **number: int) -> Response:
        body = self.change_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        with unless_changed(request, reference) as experiment:
            part = self.change(experiment, body.validated_data, *number.values())
        return Response(self.serializer(part).data)


# One that may be deleted, too.
class _RemovablePartView(_PartView):
    @abstractmethod
    def remove(self, experiment: Experiment, number: int) -> None: ...

    def delete(self, request: Request, reference: str, **number: int) -> Response:
        self.remove(find_experiment(reference), *number.values())
        return Response(status=status.HTTP_204_NO_CONTENT)


def _list_schema(
    name: str,
    one: type[BaseSerializer[Any]],
    new: type[BaseSerializer[Any]],
    example: Any,
    *,
    listing: str,
    adding: str,
    more: Sequence[OpenApiParameter] = (),
) -> Callable[[type], type]:
    return extend_schema_view(
        get=extend_schema(operation_id=f"{name}_list", responses=one(many=True), summary=listing),
        post=extend_schema(
            request=new,
            examples=[example],
            responses={201: one},
            parameters=[IDEMPOTENCY_KEY, *more],
            summary=adding,
        ),
    )


@extend_schema(tags=["variants"])
@_list_schema(
    "variants",
    serializers.VariantSerializer,
    serializers.NewVariantSerializer,
    api_examples.NEW_VARIANT,
    listing="The experiment's variants",
    adding="Add a variant; live, it starts from a share of 0",
    more=[IF_MATCH],
)
class VariantsView(_PartsView[Variant]):
    queryset = Variant.objects.none()  # for the schema; get_queryset narrows it
    serializer_class = serializers.VariantSerializer
    new_serializer = serializers.NewVariantSerializer
    path_of_one = "v1:variant"
    filterset_class = VariantFilter
    search_fields = ("name", "key")
    ordering_fields = ("id", "name")

    def get_queryset(self) -> QuerySet[Variant]:
        return find_experiment(self.kwargs["reference"]).variants.order_by("id")

    def add(self, experiment: Experiment, values: Values) -> Variant:
        return add_variant(experiment_id=experiment.pk, now=timezone.now(), **values)


@extend_schema(tags=["variants"])
@extend_schema_view(
    get=extend_schema(responses={200: serializers.VariantSerializer}, summary="One variant"),
    patch=extend_schema(
        request=serializers.VariantChangeSerializer,
        examples=[api_examples.VARIANT_CHANGE],
        responses={200: serializers.VariantSerializer},
        parameters=[IF_MATCH],
        summary="Rename or deactivate a variant, or make it a draft's control",
    ),
)
class VariantView(_ChangeablePartView):
    serializer = serializers.VariantSerializer
    change_serializer = serializers.VariantChangeSerializer

    def find(self, experiment: Experiment, number: int) -> Variant:
        return find_variant(experiment, number)

    def change(self, experiment: Experiment, values: Values, number: int) -> Variant:
        return change_variant(experiment_id=experiment.pk, variant_id=number, now=timezone.now(), **values)


@extend_schema(tags=["notes"])
@_list_schema(
    "notes",
    serializers.NoteSerializer,
    serializers.NewNoteSerializer,
    api_examples.NEW_NOTE,
    listing="Notes about days of the experiment, newest day first",
    adding="Write a note about a day; it is signed by the key or person",
)
class NotesView(_PartsView[Note]):
    queryset = Note.objects.none()  # for the schema; get_queryset narrows it
    serializer_class = serializers.NoteSerializer
    new_serializer = serializers.NewNoteSerializer
    path_of_one = "v1:note"
    filterset_class = NoteFilter
    search_fields = ("text", "author")
    ordering_fields = ("date", "created_at")

    def get_queryset(self) -> QuerySet[Note]:
        return find_experiment(self.kwargs["reference"]).notes.order_by("-date", "-id")

    def add(self, experiment: Experiment, values: Values) -> Note:
        return add_note(experiment_id=experiment.pk, now=timezone.now(), **values)


@extend_schema(tags=["notes"])
@extend_schema_view(
    get=extend_schema(responses={200: serializers.NoteSerializer}, summary="One note"),
    delete=extend_schema(responses={204: None}, summary="Delete a note"),
)
class NoteView(_RemovablePartView):
    serializer = serializers.NoteSerializer

    def find(self, experiment: Experiment, number: int) -> Note:
        return find_note(experiment, number)

    def remove(self, experiment: Experiment, number: int) -> None:
        delete_note(experiment=experiment, note_id=number)


@extend_schema(tags=["guards"])
@_list_schema(
    "guards",
    serializers.GuardSerializer,
    serializers.NewGuardSerializer,
    api_examples.NEW_GUARD,
    listing="The metrics that must not fall",
    adding="Guard a metric, one guard for each",
)
class GuardsView(_PartsView[Guard]):
    queryset = Guard.objects.none()  # for the schema; get_queryset narrows it
    serializer_class = serializers.GuardSerializer
    new_serializer = serializers.NewGuardSerializer
    path_of_one = "v1:guard"
    filterset_class = GuardFilter
    search_fields = ("metric",)
    ordering_fields = ("id", "metric")

    def get_queryset(self) -> QuerySet[Guard]:
        return find_experiment(self.kwargs["reference"]).guards.order_by("id")

    def add(self, experiment: Experiment, values: Values) -> Guard:
        return add_guard(experiment_id=experiment.pk, now=timezone.now(), **values)


@extend_schema(tags=["guards"])
@extend_schema_view(
    get=extend_schema(responses={200: serializers.GuardSerializer}, summary="One guard"),
    patch=extend_schema(
        request=serializers.GuardChangeSerializer,
        examples=[api_examples.GUARD_CHANGE],
        responses={200: serializers.GuardSerializer},
        summary="Change a guard",
    ),
    delete=extend_schema(responses={204: None, 409: None}, summary="Guard a metric no longer"),
)
class GuardView(_ChangeablePartView, _RemovablePartView):
    serializer = serializers.GuardSerializer
    change_serializer = serializers.GuardChangeSerializer

    def find(self, experiment: Experiment, number: int) -> Guard:
        return find_guard(experiment, number)

    def change(self, experiment: Experiment, values: Values, number: int) -> Guard:
        return change_guard(experiment=experiment, guard_id=number, now=timezone.now(), **values)

    def remove(self, experiment: Experiment, number: int) -> None:
        delete_guard(experiment=experiment, guard_id=number, now=timezone.now())
