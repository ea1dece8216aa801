"""OFREP's calls as the OpenAPI document describes them. serving/api/visits.py answers them, without REST framework."""

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.views import APIView

from serving.api import examples
from serving.api import schemas as serializers


class _Evaluation(APIView):
    open_to_serve_keys = True
    required_scopes: ClassVar[dict[str, str]] = {"POST": "read"}


@extend_schema(tags=["serving"])
class OfrepFlag(_Evaluation):
    @extend_schema(
        operation_id="ofrep_evaluate_flag",
        request=serializers.EvaluationRequestSerializer,
        responses={200: serializers.EvaluationSerializer},
        examples=[examples.VISITOR],
        summary="OFREP: the variant of one experiment that a visitor sees",
    )
    def post(self) -> None:
        """OpenFeature's providers make this call. It counts nothing: send counts when the variant is seen."""


@extend_schema(tags=["serving"])
class OfrepFlags(_Evaluation):
    @extend_schema(
        operation_id="ofrep_evaluate_flags",
        request=serializers.EvaluationRequestSerializer,
        responses={200: serializers.EvaluationsSerializer, 304: None},
        examples=[examples.VISITOR],
        summary="OFREP: the variants of all live experiments that a visitor sees",
    )
    def post(self) -> None:
        """Send the ETag back as If-None-Match and get 304 while nothing has changed for this visitor."""
