"""OFREP and the rule set, which visitors' software calls for a variant, as plain views.

They are called for each visit, so they are no views of REST framework. The caller is checked, and the snapshot found,
before (bandit_project.api.served).
"""

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from serving.ofrep import OfrepAnswer, evaluate_flag, evaluate_flags, is_known
from serving.snapshot import Snapshot

_VARY = "Authorization, X-API-Key, Cookie"


def flag(request: HttpRequest, snapshot: Snapshot, key: str) -> HttpResponse:
    """POST /ofrep/v1/evaluate/flags/{key}."""
    return _response(evaluate_flag(snapshot, key, request.body))


def flags(request: HttpRequest, snapshot: Snapshot) -> HttpResponse:
    """POST /ofrep/v1/evaluate/flags."""
    known = request.META.get("HTTP_IF_NONE_MATCH", "")
    return _response(evaluate_flags(snapshot, request.body, known))


def rule_set(request: HttpRequest, snapshot: Snapshot) -> HttpResponse:
    """GET /api/v1/ruleset/."""
    etag = f'"{snapshot.digest}"'
    unchanged = is_known(etag, request.META.get("HTTP_IF_NONE_MATCH", ""))
    response = _json(304 if unchanged else 200, b"" if unchanged else snapshot.document, etag)
    response["Cache-Control"] = f"private, max-age={settings.RULESET_MAX_AGE}"
    return response


def _response(answer: OfrepAnswer) -> HttpResponse:
    body = b"" if answer.body is None else orjson.dumps(answer.body)
    response = _json(answer.status, body, answer.etag)
    response["Cache-Control"] = "private, no-cache" if answer.etag else "no-store"
    return response


def _json(status: int, body: bytes, etag: str | None) -> HttpResponse:
    response = HttpResponse(body, status=status, content_type="application/json")
    response["Vary"] = _VARY
    if etag:
        response["ETag"] = etag
    return response
