"""Views of /api/v1/ for an experiment's notes and guards; each calls one service."""

from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from experiments.api.filters import GuardFilter, NoteFilter
from experiments.api.idempotency import IdempotentWrites
from experiments.api.v1 import examples as api_examples
from experiments.api.v1 import schemas as serializers
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
from experiments.selectors import find_experiment


@extend_schema(tags=["notes"])
class NotesView(IdempotentWrites, GenericAPIView[Note]):
    queryset = Note.objects.none()  # for the schema; get_queryset narrows it
    serializer_class = serializers.NoteSerializer
    filterset_class = NoteFilter
    search_fields = ("text", "author")
    ordering_fields = ("date", "created_at")

    def get_queryset(self) -> QuerySet[Note]:
        return find_experiment(self.kwargs["reference"]).notes.order_by("-date", "-id")

    @extend_schema(
        operation_id="notes_list",
        responses=serializers.NoteSerializer(many=True),
        summary="Notes about days of the experiment, newest day first",
    )
    def get(self, request: Request, reference: str) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(
        request=serializers.NewNoteSerializer,
        examples=[api_examples.NEW_NOTE],
        responses={201: serializers.NoteSerializer},
        parameters=[IDEMPOTENCY_KEY],
        summary="Write a note about a day; it is signed by the key or person",
    )
    def post(self, request: Request, reference: str) -> Response:
        body = serializers.NewNoteSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        experiment = find_experiment(reference)
        note = add_note(experiment_id=experiment.pk, now=timezone.now(), **body.validated_data)
        location = reverse("v1:note", args=[experiment.key, note.pk])
        return Response(serializers.NoteSerializer(note).data, 201, headers={"Location": location})


@extend_schema(tags=["notes"])
class NoteView(APIView):
    @extend_schema(responses={200: serializers.NoteSerializer}, summary="One note")
    def get(self, request: Request, reference: str, note_id: int) -> Response:
        note = find_note(find_experiment(reference), note_id)
        return Response(serializers.NoteSerializer(note).data)

    @extend_schema(responses={204: None}, summary="Delete a note")
    def delete(self, request: Request, reference: str, note_id: int) -> Response:
        delete_note(experiment=find_experiment(reference), note_id=note_id)
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["guards"])
class GuardsView(IdempotentWrites, GenericAPIView[Guard]):
    queryset = Guard.objects.none()  # for the schema; get_queryset narrows it
    serializer_class = serializers.GuardSerializer
    filterset_class = GuardFilter
    search_fields = ("metric",)
    ordering_fields = ("id", "metric")

    def get_queryset(self) -> QuerySet[Guard]:
        return find_experiment(self.kwargs["reference"]).guards.order_by("id")

    @extend_schema(
        operation_id="guards_list",
        responses=serializers.GuardSerializer(many=True),
        summary="The metrics that must not fall",
    )
    def get(self, request: Request, reference: str) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(
        request=serializers.NewGuardSerializer,
        examples=[api_examples.NEW_GUARD],
        responses={201: serializers.GuardSerializer},
        parameters=[IDEMPOTENCY_KEY],
        summary="Guard a metric, one guard for each",
    )
    def post(self, request: Request, reference: str) -> Response:
        body = serializers.NewGuardSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        experiment = find_experiment(reference)
        guard = add_guard(experiment_id=experiment.pk, now=timezone.now(), **body.validated_data)
        location = reverse("v1:guard", args=[experiment.key, guard.pk])
        return Response(serializers.GuardSerializer(guard).data, 201, headers={"Location": location})


@extend_schema(tags=["guards"])
class GuardView(APIView):
    @extend_schema(responses={200: serializers.GuardSerializer}, summary="One guard")
    def get(self, request: Request, reference: str, guard_id: int) -> Response:
        guard = find_guard(find_experiment(reference), guard_id)
        return Response(serializers.GuardSerializer(guard).data)

    @extend_schema(
        request=serializers.GuardChangeSerializer,
        examples=[api_examples.GUARD_CHANGE],
        responses={200: serializers.GuardSerializer},
        summary="Change a guard",
    )
    def patch(self, request: Request, reference: str, guard_id: int) -> Response:
        body = serializers.GuardChangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        guard = change_guard(
            experiment=find_experiment(reference),
            guard_id=guard_id,
            now=timezone.now(),
            **body.validated_data,
        )
        return Response(serializers.GuardSerializer(guard).data)

    @extend_schema(responses={204: None, 409: None}, summary="Guard a metric no longer")
    def delete(self, request: Request, reference: str, guard_id: int) -> Response:
        delete_guard(experiment=find_experiment(reference), guard_id=guard_id, now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)
