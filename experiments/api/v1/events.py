"""Views of /api/v1/events/: daily rows as JSON and as CSV."""

from typing import Any

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
from experiments.api.uploads import form_values, uploaded_table
from experiments.api.v1 import event_schemas as serializers
from experiments.api.v1 import examples as api_examples
from experiments.api.v1.views import IDEMPOTENCY_KEY
from experiments.exceptions import IdempotencyKeyRequiredError, InvalidError, InvalidRowsError
from experiments.ingestion.record import record_batch
from experiments.selectors import today
from experiments.tables.importing.importer import import_table
from experiments.tables.importing.report import ImportOptions
from experiments.tables.importing.rows import template

# The choices of the query may also be fields of the form.
_FORM_FIELDS = {
    name: {"type": "string", **({"enum": list(field.choices)} if hasattr(field, "choices") else {})}
    for name, field in serializers.CsvOptionsSerializer().fields.items()
}


@extend_schema(tags=["events"])
class EventsView(IdempotentWrites):
    @extend_schema(
        request=PolymorphicProxySerializer(
            component_name="DayOrBatch",
            serializers=[
                serializers.EventBatchSerializer,
                serializers.EventDaySerializer,
                serializers.IncrementsBatchSerializer,
                serializers.IncrementsDaySerializer,
            ],
            resource_type_field_name=None,
        ),
        examples=[api_examples.BATCH, api_examples.DAY],
        responses={200: serializers.RecordedSerializer},
        parameters=[IDEMPOTENCY_KEY],
        summary=f"Record one day, or up to {serializers.MAX_BATCH_ROWS:,} daily rows of any experiments, all or none",
    )
    def post(self, request: Request) -> Response:
        """`set` (the default) overwrites the day's totals; values left out stay. `add` needs an Idempotency-Key."""
        return Response(record_rows(request.data, once=has_idempotency_key(request)))


def record_rows(data: Any, *, once: bool) -> dict[str, Any]:
    """Record a body and return the answer's. ``once``: an idempotency key keeps it from being recorded twice."""
    one_day = is_day(data)
    given = parse_day(data) if one_day else parse_batch(data)
    if given.mode == "add" and not once:
        raise IdempotencyKeyRequiredError(
            f"mode=add needs an {HEADER} header, so that a retry adds nothing twice."
        )
    try:
        recorded = record_batch(**given._asdict(), today=today(), now=timezone.now())
    except InvalidRowsError as error:
        raise InvalidError(issues_of_day(error)) if one_day else error from None
    return recorded._asdict()


@extend_schema(tags=["events"])
class EventsCsvView(IdempotentWrites):
    parser_classes = (MultiPartParser,)

    @extend_schema(
        request={
            "multipart/form-data": {
                "type": "object",
                "properties": {"file": {"type": "string", "format": "binary"}, **_FORM_FIELDS},
                "required": ["file"],
                "additionalProperties": False,
            }
        },
        examples=[api_examples.CSV],
        parameters=[serializers.CsvOptionsSerializer, IDEMPOTENCY_KEY],
        responses={200: serializers.CsvReportSerializer},
        summary="Upload daily totals or single orders: CSV or another text table, or an Excel workbook",
    )
    def post(self, request: Request) -> Response:
        """Which files are read, and how, is in docs/importing.md. A file of which nothing is loaded is answered 422.

        So is one with more rows than MAX_UPLOAD_ROWS (`too_many_rows`): send it in parts, split by experiment or
        between days and never within a day of one, or load it with the command `import_events`.
        """
        given = serializers.CsvOptionsSerializer(data=_options(request))
        given.is_valid(raise_exception=True)
        values = dict(given.validated_data)
        table = uploaded_table(request, "v1", sheet=values.pop("sheet"))
        report = import_table(table, today=today(), now=timezone.now(), options=ImportOptions(**values))
        if not report.has_loaded:
            raise InvalidError(report.refusals(), total_issues=report.total_issues)
        return Response(
            {
                "total_rows": report.total_rows,
                "processed_rows": report.processed_rows,
                "total_issues": report.total_issues,
                "issues": [issue._asdict() for issue in report.issues],
                "experiment_ids": report.experiment_ids,
                "new_variants": list(report.new_variants),
                "ignored_columns": report.ignored_columns,
                "blank_rows_skipped": report.blank_skipped,
                "date_order": report.dates.order,
                "date_order_shown_by": report.dates.witness,
                "encoding": report.encoding,
                "has_orders": report.has_orders,
                "values_capped": report.values_capped,
            }
        )


def _options(request: Request) -> dict[str, str]:
    """Collect the choices of the query and of the form, which wins. Raises InvalidError for other fields."""
    queried = {name: str(value) for name, value in request.query_params.items() if name in _FORM_FIELDS}
    return queried | form_values(request, _FORM_FIELDS)


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
