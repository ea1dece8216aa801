"""Views of /api/v1/events/: daily rows as JSON and as CSV."""

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    PolymorphicProxySerializer,
    extend_schema,
)
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from experiments.api.idempotency import HEADER, IdempotentWrites, has_idempotency_key
from experiments.api.rows import is_day, issues_of_day, parse_batch, parse_day
from experiments.api.uploads import uploaded_lines
from experiments.api.v1 import examples as api_examples
from experiments.api.v1 import schemas as serializers
from experiments.api.v1.views import IDEMPOTENCY_KEY
from experiments.exceptions import IdempotencyKeyRequiredError, InvalidError, InvalidRowsError, Issue
from experiments.ingestion.record import record_batch
from experiments.selectors import today
from experiments.tables.importer import import_csv
from experiments.tables.rows import template


@extend_schema(tags=["events"])
class EventsView(IdempotentWrites):
    @extend_schema(
        request=PolymorphicProxySerializer(
            component_name="DayOrBatch",
            serializers=[serializers.EventBatchSerializer, serializers.EventDaySerializer],
            resource_type_field_name=None,
        ),
        examples=[api_examples.BATCH, api_examples.DAY],
        responses={200: serializers.RecordedSerializer},
        parameters=[IDEMPOTENCY_KEY],
        summary=f"Record one day, or up to {serializers.MAX_BATCH_ROWS:,} daily rows of any experiments, all or none",
    )
    def post(self, request: Request) -> Response:
        """`set` (the default) overwrites the day's totals; `add` adds to them and needs an Idempotency-Key."""
        one_day = is_day(request.data)
        mode, rows, values = parse_day(request.data) if one_day else parse_batch(request.data)
        if mode == "add" and not has_idempotency_key(request):
            raise IdempotencyKeyRequiredError(
                f"mode=add needs an {HEADER} header, so that a retry adds nothing twice."
            )
        try:
            recorded = record_batch(rows=rows, values=values, mode=mode, today=today(), now=timezone.now())
        except InvalidRowsError as error:
            raise InvalidError(issues_of_day(error)) if one_day else error from None
        return Response(recorded._asdict())


@extend_schema(tags=["events"])
class EventsCsvView(IdempotentWrites):
    parser_classes = (MultiPartParser,)

    @extend_schema(
        request={
            "multipart/form-data": {
                "type": "object",
                "properties": {"file": {"type": "string", "format": "binary"}},
                "required": ["file"],
            }
        },
        examples=[api_examples.CSV],
        parameters=[serializers.CsvOptionsSerializer, IDEMPOTENCY_KEY],
        responses={200: serializers.CsvReportSerializer},
        summary="Upload daily totals as CSV",
    )
    def post(self, request: Request) -> Response:
        """`on_error=reject` (the default): a bad row rejects the file; `skip`: the good rows are recorded."""
        options = serializers.CsvOptionsSerializer(data=request.query_params)
        options.is_valid(raise_exception=True)
        on_error = options.validated_data["on_error"]
        report = import_csv(uploaded_lines(request), today=today(), now=timezone.now(), on_error=on_error)
        if on_error == "reject" and report.total_issues:
            raise InvalidError(
                [
                    Issue(f"line {issue.line}, {issue.column}", "bad_row", issue.message)
                    for issue in report.issues
                ],
                total_issues=report.total_issues,
            )
        return Response(
            {
                "total_rows": report.total_rows,
                "processed_rows": report.processed_rows,
                "total_issues": report.total_issues,
                "issues": [issue._asdict() for issue in report.issues],
                "experiment_ids": report.experiment_ids,
            }
        )


@extend_schema(tags=["events"])
class EventsTemplateView(APIView):
    @extend_schema(
        operation_id="events_template",
        responses={(200, "text/csv"): OpenApiTypes.STR},
        summary="The CSV that the upload takes: its header and two example rows",
    )
    def get(self, request: Request) -> HttpResponse:
        headers = {"Content-Disposition": 'attachment; filename="daily_metrics_template.csv"'}
        return HttpResponse(template(today()), content_type="text/csv; charset=utf-8", headers=headers)
