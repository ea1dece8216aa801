"""The two calls to the service: fetch the rule set, send counts."""

import http.client
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

from bandit_client.arguments import check_service


@dataclass(frozen=True)
class Answer:
    """An answer of the service; status 0: there was none. ``is_unsent``: the request has reached no service."""

    status: int
    document: Mapping[str, Any] = field(default_factory=dict)
    etag: str | None = None
    retry_after: float | None = None
    problem: str = ""
    is_unsent: bool = False

    @property
    def has_written_nothing(self) -> bool:
        """Whether the request certainly counted nothing: the service refused it, or never had it."""
        return self.is_unsent or (400 <= self.status < 500 and bool(self.code))

    @property
    def code(self) -> str:
        return str(self.document.get("code", ""))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follow none: the key would go to the other host, and a POST would arrive there as a GET without its counts."""

    def redirect_request(self, *_arguments: object) -> None:
        return None


class Service:
    def __init__(self, url: str, api_key: str, timeout: float) -> None:
        check_service(url, api_key)
        self._url = url.rstrip("/")
        self._headers = {"User-Agent": "bandit-client/0.1"}
        if api_key:  # an installation for development asks for none
            self._headers["Authorization"] = f"Api-Key {api_key}"
        self._timeout = timeout
        self._opener = urllib.request.build_opener(_NoRedirect)

    def fetch_rule_set(self, etag: str | None) -> Answer:
        return self._call("/api/v1/ruleset/", {"If-None-Match": etag} if etag else {}, None)

    def send_counts(self, body: str, key: str) -> Answer:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        return self._call("/api/v1/counts/", headers, body.encode())

    def _call(self, path: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        # The scheme is checked above.
        request = urllib.request.Request(self._url + path, body, {**self._headers, **headers})  # noqa: S310
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                return _answer(response.status, response.headers, response.read())
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error.code, error.headers, _read(error))
        # A proxy or a dying server may answer what is no HTTP at all: HTTPException is no OSError.
        except (OSError, http.client.HTTPException) as error:
            return Answer(0, problem=str(error), is_unsent=_is_unsent(error))


def _is_unsent(error: Exception) -> bool:
    """Whether no connection was made; any other failure may come after the request has arrived."""
    return isinstance(getattr(error, "reason", error), ConnectionRefusedError | socket.gaierror)


def _read(error: urllib.error.HTTPError) -> bytes:
    try:
        return error.read()
    except (OSError, http.client.HTTPException):
        return b""


def _answer(status: int, headers: Message, body: bytes) -> Answer:
    try:
        document = json.loads(body) if body else {}
    except ValueError:
        document = {}
    after, text = headers.get("Retry-After", ""), body[:200].decode(errors="replace")
    moved = headers.get("Location")
    return Answer(
        status,
        document if isinstance(document, dict) else {},
        headers.get("ETag"),
        float(after) if after.isdigit() else None,
        problem=f"it has moved to {moved[:200]}; make the client with that url" if moved else text,
        is_unsent=bool(moved),
    )
