"""Idempotent writes: a request that carries an Idempotency-Key takes effect once, however often it is sent.

The write and its stored answer are one transaction. While it runs, a lock holds the key and ends with its holder (an
advisory lock of PostgreSQL; a file lock beside SQLite, which runs on one machine). A crash leaves nothing to clean
up, and a retry after it simply goes through.
"""

import datetime as dt
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import InterfaceError, OperationalError, connection, transaction
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from experiments.database.locks import file_lock, lock_number
from experiments.exceptions import IdempotencyKeyInUseError, IdempotencyKeyReusedError, InvalidError, Issue
from experiments.models import IdempotentAnswer

HEADER = "Idempotency-Key"
KEPT_FOR = dt.timedelta(hours=24)
KEY_PATTERN = r"^[!-~]{1,255}$"
_KEPT_HEADERS = ("Location", "ETag")


class _ReplayError(Exception):
    """Leave the view before its handler runs, after authentication and throttling."""

    def __init__(self, answer: IdempotentAnswer) -> None:
        self.answer = answer


# No docstring: the documentation would show it with every view's own.
class IdempotentWrites(APIView):
    # A view whose POSTs take an Idempotency-Key. Authentication and throttling come before any replay.
    _held: tuple[str, str, str] | None = None
    _is_free = False

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != "POST" or HEADER not in request.headers:
            return super().dispatch(request, *args, **kwargs)
        try:
            _receive(request)
            with ExitStack() as self._transaction:
                return self._answered_once(super().dispatch(request, *args, **kwargs))
        except (OperationalError, InterfaceError, UnreadablePostError) as error:
            # Raised outside of the view, at the end of the transaction; answered as if raised within.
            answer: HttpResponseBase = self.get_exception_handler()(
                error, self.get_exception_handler_context()
            )
            return answer

    def _answered_once(self, response: HttpResponseBase) -> HttpResponseBase:
        """Store the answer with the write, in its transaction; undo a refused write, whose key stays unused."""
        if response.status_code >= 400:
            if self._is_free:
                _roll_back()
        elif self._held is not None:
            _store(self._held, response)
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        # Authentication and throttling come first: who has no key begins no transaction, which SQLite has one of.
        super().initial(request, *args, **kwargs)
        if request.method == "POST" and HEADER in request.headers:
            name = f"{principal_of(request)} {request.headers[HEADER]}"
            self._is_free = self._transaction.enter_context(_one_at_a_time(name))
            self._held = self._claim(request)

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, _ReplayError):
            return _replayed(exc.answer)
        return super().handle_exception(exc)

    def _claim(self, request: Request) -> tuple[str, str, str]:
        key = request.headers[HEADER]
        if not re.match(KEY_PATTERN, key):
            raise InvalidError([Issue(HEADER, "invalid", "must be 1 to 255 visible ASCII characters")])
        if not self._is_free:
            raise IdempotencyKeyInUseError("The first request with this Idempotency-Key is still running.")
        principal, digest = principal_of(request), _digest(request)
        answer = IdempotentAnswer.objects.filter(principal=principal, key=key).first()
        if answer is None or answer.created_at < timezone.now() - KEPT_FOR:
            return principal, key, digest
        if answer.request_digest != digest:
            raise IdempotencyKeyReusedError("This Idempotency-Key was used for another request.")
        raise _ReplayError(answer)


def prune_idempotent_answers(*, now: dt.datetime) -> int:
    """Delete answers that are too old to be replayed; return their number."""
    deleted, _ = IdempotentAnswer.objects.filter(created_at__lt=now - KEPT_FOR).delete()
    return deleted


def has_idempotency_key(request: Request) -> bool:
    return HEADER in request.headers


def _receive(request: HttpRequest) -> None:
    """Read the whole body before anything is locked, so that a slow client keeps no other request waiting."""
    _ = request.body


def _roll_back() -> None:
    """Undo what was refused: a corrected request may carry the key again."""
    if connection.in_atomic_block:
        transaction.set_rollback(True)


def principal_of(request: Request) -> str:
    """Name the caller, so that the keys of different callers never meet."""
    if request.auth is not None:
        return f"key:{request.auth.pk}"
    return f"user:{request.user.pk}" if request.user and request.user.pk else "anyone"


def _digest(request: Request) -> str:
    """Hash the method, the path and the body: two requests with the same digest are the same request."""
    is_form = any(isinstance(parser, MultiPartParser) for parser in request.parsers or ())
    body = _form_digest(request) if is_form else hashlib.sha256(request.body).digest()
    return hashlib.sha256(f"{request.method} {request.get_full_path()}\n".encode() + body).hexdigest()


def _form_digest(request: Request) -> bytes:
    """Hash the content of a form without its packing: each sending has another boundary between the parts."""
    held = hashlib.sha256(repr(sorted(request.POST.lists())).encode("utf-8", "surrogateescape"))
    for name, files in sorted(request.FILES.lists()):
        for file in files:
            content = hashlib.sha256()
            for chunk in file.chunks():
                content.update(chunk)
            held.update(f"{name!r} {content.hexdigest()}\n".encode("utf-8", "surrogateescape"))
    return held.digest()


def _store(held: tuple[str, str, str], response: HttpResponseBase) -> None:
    if not isinstance(response, HttpResponse):
        raise TypeError("a streamed answer cannot be stored")
    if isinstance(response, Response) and not response.is_rendered:
        response.render()
    principal, key, digest = held
    IdempotentAnswer.objects.update_or_create(
        principal=principal,
        key=key,
        defaults={
            "request_digest": digest,
            "status_code": response.status_code,
            "headers": {name: response[name] for name in _KEPT_HEADERS if name in response},
            "body": response.content.decode(),
            "created_at": timezone.now(),
        },
    )


def _replayed(answer: IdempotentAnswer) -> Response:
    body = json.loads(answer.body) if answer.body else None
    return Response(body, answer.status_code, headers={**answer.headers, "Idempotent-Replayed": "true"})


@contextmanager
def _one_at_a_time(key: str) -> Iterator[bool]:
    """Hold the key in a transaction until it has ended; yield False, without a transaction, if another request holds
    it.
    """
    number = lock_number(key)
    if connection.vendor == "postgresql":
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
            yield bool(cursor.fetchone()[0])
        return
    # One of 65,536 files: of two keys that share one by chance, one is refused and its retry goes through.
    with file_lock(str(number % 65_536)) as free:
        if not free:
            yield False
            return
        with transaction.atomic():
            yield True
