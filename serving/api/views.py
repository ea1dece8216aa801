"""Views of /api/v1/ for the rule set and for counting; each calls one function."""

import datetime as dt
import json
from typing import Any, ClassVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import Throttled, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from experiments.api.fast_validation import validated
from experiments.api.idempotency import HEADER, IdempotentWrites, has_idempotency_key, principal_of
from experiments.api.problems import flat_issues
from experiments.api.v1.views import IDEMPOTENCY_KEY
from experiments.exceptions import IdempotencyKeyRequiredError, InvalidError, Issue
from experiments.metrics import COUNT_NAMES, DailyCounts
from experiments.selectors import today
from serving.api import examples as api_examples
from serving.api import schemas as serializers
from serving.api.visits import rule_set
from serving.counting import Cap, Increments, count_increments
from serving.exceptions import CountsCappedError
from serving.snapshot import read_version, snapshot_of

_ROWS = "increments"
# Headers that a beacon carries in its body.
_IN_BODY = {"api_key": "HTTP_X_API_KEY", "idempotency_key": "HTTP_IDEMPOTENCY_KEY"}
_CAPPED = "counts_capped"


@extend_schema(tags=["serving"])
class RuleSetView(APIView):
    open_to_serve_keys = True

    @extend_schema(
        operation_id="ruleset_retrieve",
        responses={200: serializers.RuleSetSerializer, 304: None},
        summary="Every live experiment's shares, to assign visitors without a call for each",
    )
    def get(self, request: Request) -> HttpResponse:
        """Send the ETag back as If-None-Match and get 304 while nothing has changed."""
        return rule_set(request._request, snapshot_of(read_version()))


@extend_schema(tags=["serving"])
class CountsView(IdempotentWrites):
    open_to_serve_keys = True
    required_scopes: ClassVar[dict[str, str]] = {"POST": "write"}

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Take what navigator.sendBeacon sends: text, with the headers that it cannot set in the body."""
        if request.method == "POST" and request.content_type == "text/plain":
            _take_headers_from_body(request)
        return super().dispatch(request, *args, **kwargs)

    @extend_schema(
        request=serializers.CountsSerializer,
        examples=[api_examples.COUNTS],
        responses={200: serializers.CountedSerializer},
        parameters=[IDEMPOTENCY_KEY],
        summary=f"Add what visitors did: up to {serializers.MAX_INCREMENTS:,} increments, all or none, exactly once",
    )
    def post(self, request: Request) -> Response:
        """A click or conversion counts on the day of its exposure. Needs an Idempotency-Key.

        409 `counts_out_of_order`: `rows` names the increments whose impressions have not arrived; send them later.
        409 `counts_not_taken`: `rows` names those of experiments that take no counts; drop them.
        A body of type `text/plain` may carry `api_key` and `idempotency_key`, as navigator.sendBeacon sets no headers.
        """
        if not has_idempotency_key(request):
            raise IdempotencyKeyRequiredError(
                f"Counts need an {HEADER} header, so that a retry adds nothing twice."
            )
        given, now = _parsed(request.data), timezone.now()
        try:
            counted = count_increments(given=given, today=today(), now=now, cap=_cap(request))
        except CountsCappedError:
            raise _capped(now) from None
        return Response(counted._asdict())


def _take_headers_from_body(request: HttpRequest) -> None:
    request.META["CONTENT_TYPE"] = "application/json"
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        return  # the parser says what is wrong with it
    for member, header in _IN_BODY.items():
        given = body.get(member) if isinstance(body, dict) else None
        if isinstance(given, str) and given.isascii():
            request.META.setdefault(header, given)
    vars(request).pop("headers", None)  # made of META, once


def _parsed(data: Any) -> Increments:
    """Read the increments; raise InvalidError with fields such as increments[3].clicks, and those rows."""
    try:
        rows = validated(serializers.CountsSerializer, data)[_ROWS]
    except ValidationError as error:
        of_rows = error.detail.get(_ROWS) if isinstance(error.detail, dict) else None
        bad = {"rows": sorted(of_rows)} if isinstance(of_rows, dict) else {}
        raise InvalidError([Issue(*found) for found in flat_issues(error)], **bad) from None
    values = {index: row["values"] for index, row in enumerate(rows) if "values" in row}
    for index, singles in values.items():
        if "conversions" not in data[_ROWS][index]:
            rows[index]["conversions"] = len(singles)
    counted = [
        (row["experiment"], DailyCounts(row["day"], row["variant"], *(row[name] for name in COUNT_NAMES)))
        for row in rows
    ]
    return Increments(counted, values)


def _cap(request: Request) -> Cap | None:
    """Return the cap of a key that may be in every browser; other keys may set whole days anyway."""
    is_open = getattr(request.auth, "scope", None) == "serve"
    return Cap(principal_of(request), settings.SERVE_DAILY_COUNTS) if is_open else None


def _capped(now: dt.datetime) -> Throttled:
    midnight = dt.datetime.combine(today() + dt.timedelta(days=1), dt.time(), timezone.get_current_timezone())
    seconds = max((midnight - now).total_seconds(), 1)
    detail = "This key has added all that it may today (SERVE_DAILY_COUNTS)."
    return Throttled(wait=seconds, detail=detail, code=_CAPPED)
