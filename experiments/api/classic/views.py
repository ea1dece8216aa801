"""Calls of the classic API about experiments and their data; each calls one service."""

import hashlib
from collections.abc import Sequence
from typing import Any, ClassVar

import orjson
from django.conf import settings
from django.core.cache import caches
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.cache import get_conditional_response, patch_vary_headers
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, PolymorphicProxySerializer, extend_schema
from rest_framework.decorators import api_view, parser_classes
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from experiments.api.classic import schemas as serializers
from experiments.api.rows import issues_of_day, parse_classic
from experiments.api.uploads import uploaded_table
from experiments.api.v1 import examples as api_examples
from experiments.database.locks import Turns
from experiments.database.moment import one_moment
from experiments.database.prepared import Prepared
from experiments.database.rows import Row
from experiments.exceptions import InvalidError, InvalidRowsError, Issue
from experiments.ingestion.record import record_events
from experiments.models import Experiment
from experiments.selectors import daily_rows, find_experiment, find_experiment_id, today
from experiments.services import create_experiment, reset_data
from experiments.tables.importing.importer import import_table
from experiments.tables.importing.report import ImportOptions, ImportReport
from experiments.tables.importing.rows import template

_REPORTED_ERRORS = 10
# Where pages of the list and their parts are kept: settings.CACHES.
_LIST = "list"
_turns = Turns()
# A page of so many takes a second and a half.
MOST_LISTED_ROWS = 300_000


class ExperimentsView(APIView):
    """Create, and list with all daily rows."""

    @extend_schema(
        tags=["classic"],
        operation_id="classic_create_experiment",
        request=serializers.CreateExperimentSerializer,
        examples=[api_examples.CLASSIC_EXPERIMENT],
        responses={200: serializers.ClassicExperimentSerializer},
    )
    def post(self, request: Request) -> Response:
        """Create an active experiment; its variants come with its first events."""
        body = serializers.CreateExperimentSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        experiment = create_experiment(**body.validated_data, now=timezone.now())
        return Response(serializers.experiment_body(experiment, []))

    @extend_schema(
        tags=["classic"],
        operation_id="classic_list_experiments",
        parameters=[serializers.PageSerializer],
        responses={200: serializers.ClassicExperimentSerializer(many=True), 304: None},
    )
    def get(self, request: Request) -> HttpResponse:
        """Experiments, newest first, with every daily row."""
        page = serializers.PageSerializer(data=request.query_params)
        page.is_valid(raise_exception=True)
        return answer_list(
            request._request, start=page.validated_data["offset"], size=page.validated_data["limit"]
        )


# The states of a page of experiments. By hand: an unchanged list costs little else. Nobody reads the moments.
_STATES = Prepared(
    "SELECT id, data_version, CAST(updated_at AS text) FROM experiments_experiment "
    "ORDER BY created_at DESC, id DESC LIMIT %s OFFSET %s"
)


def answer_list(request: HttpRequest, *, start: int, size: int) -> HttpResponse:
    """A page of experiments, of the worker's memory while none has changed; 304 where the caller has it."""
    states = _STATES.rows([size, start])
    digest = hashlib.sha256(repr(states).encode()).hexdigest()[:32]
    etag = f'"{digest}"'
    response = get_conditional_response(request, etag)
    if response is None or response.status_code != 304:
        response = _page(f"classic-list:{start}:{size}", digest, states)
    response["ETag"] = etag
    response["Cache-Control"] = "private, no-cache"
    patch_vary_headers(response, ["Authorization", "Cookie"])
    return response


def _page(place: str, digest: str, states: Sequence[Row]) -> HttpResponse:
    """Make a page once for each state of it; the cache keeps the latest."""
    held, body = caches[_LIST].get(place) or ("", b"")
    if held != digest:
        body = _made_in_turn(place, digest, states)
    return HttpResponse(body, content_type="application/json")


def _made_in_turn(place: str, digest: str, states: Sequence[Row]) -> bytes:
    """One thread of a worker makes a page; the others that ask for the same meanwhile get its answer."""
    with _turns.take((place, digest)) as has_waited:
        held, body = (caches[_LIST].get(place) if has_waited else None) or ("", b"")
        if held == digest:
            return bytes(body)
        found = Experiment.objects.in_bulk([pk for pk, *_state in states])
        made = orjson.dumps(_experiment_fragments([found[pk] for pk, *_state in states if pk in found]))
        caches[_LIST].set(place, (digest, made))
        return made


def _experiment_fragments(experiments: list[Experiment]) -> list[orjson.Fragment]:
    """Return each experiment as JSON, made once for each state of its data; the cache keeps the latest state."""
    states = {_place(e): (e.data_version, e.updated_at) for e in experiments}
    cached = caches[_LIST].get_many(states)
    held = {place: of for place, (state, *of) in cached.items() if state == states[place]}
    missing = [e for e in experiments if _place(e) not in held]
    most = MOST_LISTED_ROWS + 1 if len(experiments) > 1 else None
    rows = daily_rows(missing, most) if missing else {}
    if most:
        _refuse_large_page(sum(number for number, _body in held.values()) + sum(map(len, rows.values())))
    fresh = {
        _place(e): [len(rows[e.pk]), orjson.dumps(serializers.experiment_body(e, rows[e.pk]))]
        for e in missing
    }
    caches[_LIST].set_many({place: (states[place], *of) for place, of in fresh.items()})
    held |= fresh
    return [orjson.Fragment(held[place][1]) for place in states]


def _place(experiment: Experiment) -> str:
    """Name where the cache has an experiment's state, its number of rows and its JSON."""
    return f"classic-rows:{experiment.pk}"


def _refuse_large_page(rows: int) -> None:
    """Refuse a page of more rows than are read at once; a thousand experiments may have millions together."""
    if rows > MOST_LISTED_ROWS:
        message = (
            f"these experiments have more than {MOST_LISTED_ROWS:,} daily rows together: ask for fewer at once, or for "
            "single ones"
        )
        raise InvalidError([Issue("limit", "too_large", message)])


@extend_schema(
    tags=["classic"],
    operation_id="classic_get_experiment",
    responses={200: serializers.ClassicExperimentSerializer},
)
@api_view(["GET"])
@one_moment()
def experiment(request: Request, reference: str) -> Response:
    """One experiment, by id or key, with every daily row."""
    found = find_experiment(reference)
    return Response(serializers.experiment_body(found, daily_rows([found])[found.pk]))


@extend_schema(
    tags=["classic"],
    operation_id="classic_post_events",
    request=PolymorphicProxySerializer(
        component_name="ClassicEvents",
        serializers=[serializers.EventsSerializer, serializers.FlatEventSerializer],
        resource_type_field_name=None,
    ),
    examples=[api_examples.CLASSIC_DAY, api_examples.CLASSIC_FLAT],
    responses={200: serializers.EventsAnswerSerializer, 404: None},
)
@api_view(["POST"])
def events(request: Request) -> Response:
    """Set one day's totals of an experiment's variants, all or none; unknown variants are created."""
    return Response(record_classic(request.data))


def record_classic(data: Any) -> dict[str, object]:
    """Record a body and return the answer's."""
    reference, rows = parse_classic(data)
    try:
        recorded = record_events(
            experiment_id=find_experiment_id(reference), rows=rows, today=today(), now=timezone.now()
        )
    except InvalidRowsError as error:
        raise InvalidError(issues_of_day(error, flat="variants" not in data)) from error
    answer = {"status": "success", "variants_processed": len(rows)}
    return {**answer, "new_variants": recorded.new_variant_names}


@extend_schema(
    tags=["classic"],
    operation_id="classic_upload_data",
    request={
        "multipart/form-data": {
            "type": "object",
            "properties": {"file": {"type": "string", "format": "binary"}},
        }
    },
    examples=[api_examples.CSV],
    responses={200: serializers.UploadAnswerSerializer},
)
@api_view(["POST"])
@parser_classes([MultiPartParser])
def upload_data(request: Request) -> Response:
    """Load daily totals (docs/importing.md); bad rows are skipped and the first 10 reported.

    A file with more rows than MAX_UPLOAD_ROWS is answered 422 and nothing of it loaded: send it in parts, split between
    days and never within a day, or load it with the command `import_events`.
    """
    report = import_table(
        uploaded_table(request, "classic"),
        today=today(),
        now=timezone.now(),
        options=ImportOptions(on_error="skip", way_in="classic"),
        kept_issues=_REPORTED_ERRORS,
    )
    return Response(_upload_answer(report))


def _upload_answer(report: ImportReport) -> dict[str, object]:
    done = "partial_success" if report.total_issues else "success"
    problems = [str(issue) for issue in report.issues]
    if not (problems or report.has_loaded):
        problems = [issue.message for issue in report.refusals()]
    return {
        "status": done if report.has_loaded else "error",
        "processed_rows": report.processed_rows,
        "total_rows": report.total_rows,
        "errors": problems,
        "total_errors": max(report.total_issues, len(problems)),
        "experiment_ids": report.experiment_ids,
        "new_variants": list(report.new_variants),
        "ignored_columns": report.ignored_columns,
        "values_capped": report.values_capped,
    }


@extend_schema(
    tags=["classic"],
    operation_id="classic_download_template",
    responses={
        (200, "text/csv"): OpenApiResponse(OpenApiTypes.STR, description="The header and two example rows.")
    },
)
@api_view(["GET"])
def download_template(request: Request) -> HttpResponse:
    """The CSV that upload-data takes, with two example rows."""
    headers = {"Content-Disposition": 'attachment; filename="daily_metrics_template.csv"'}
    return HttpResponse(template(today()), content_type="text/csv; charset=utf-8", headers=headers)


class ResetView(APIView):
    required_scopes: ClassVar[dict[str, str]] = {"POST": "admin"}

    @extend_schema(
        tags=["classic"],
        operation_id="classic_reset_data",
        request=None,
        responses={200: serializers.MessageSerializer},
    )
    def post(self, request: Request) -> Response:
        """Delete every experiment with all its data. Off outside DEBUG unless ALLOW_RESET=true."""
        reset_data(allowed=settings.ALLOW_RESET)
        return Response({"message": "All experiments, metrics and allocations have been deleted."})
