"""A small service for the tests: the rule set and the counts, exactly once, with faults on demand."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bandit_client import Client

MakeClient = Callable[..., Client]

RULES: dict[str, Any] = {
    "version": 1,
    "date": "2026-11-26",
    "time_zone": "UTC",
    "experiments": [
        {
            "key": "hero", "status": "active", "allocation": 17, "shares": {"blue": 3333, "red": 6667},
            "target_date": "2026-11-26", "expires_at": None, "fallback": "red", "counts": True,
        },
        {
            "key": "old", "status": "completed", "allocation": 3, "shares": {"blue": 10000},
            "target_date": "2026-11-26", "expires_at": None, "fallback": "blue", "counts": False,
        },
    ],
}  # fmt: skip


class FakeService:
    """Counts that were taken, and the faults to answer with next."""

    def __init__(self) -> None:
        self.rules = RULES
        self.totals: Counter[tuple[str, str, str, str]] = Counter()
        self.values: list[str] = []
        self.bodies: dict[str, bytes] = {}
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.faults: list[str] = []  # "before": 503 and not counted; "after": counted, and no answer
        self.refusals: list[tuple[int, dict[str, Any]]] = []
        self.keeps_order = True
        self.away = False
        self.moved_to = ""  # the address that every answer leads to
        self.on_counts: Callable[[], object] = lambda: None  # happens while counts are sent
        self.url = ""
        self.lock = threading.Lock()

    def total(self, kind: str) -> int:
        return sum(number for (*_, what), number in self.totals.items() if what == kind)

    def take(self, key: str, body: bytes) -> tuple[int, dict[str, Any]]:
        if key in self.bodies:
            return (200, {}) if self.bodies[key] == body else (422, {"code": "idempotency_key_reused"})
        if self.refusals:
            return self.refusals.pop(0)
        increments = json.loads(body)["increments"]
        after = self.totals + self._counts(increments)
        if self.keeps_order and (rows := self._out_of_order(increments, after)):
            return 409, {"code": "counts_out_of_order", "rows": rows}
        self.totals, self.bodies[key] = after, body
        self.values += [value for one in increments for value in one.get("values", ())]
        return 200, {"increments": len(increments)}

    def _counts(self, increments: list[dict[str, Any]]) -> Counter[tuple[str, str, str, str]]:
        kinds = ("impressions", "clicks", "conversions")
        return Counter(
            {
                (one["experiment"], one["variant"], one["day"], kind): one[kind]
                for one in increments
                for kind in kinds
                if kind in one
            }
        )

    def _out_of_order(self, increments: list[dict[str, Any]], after: Counter[Any]) -> list[int]:
        places = [(one["experiment"], one["variant"], one["day"]) for one in increments]
        return [
            n
            for n, place in enumerate(places)
            if any(after[*place, kind] > after[*place, "impressions"] for kind in ("clicks", "conversions"))
        ]


class _Handler(BaseHTTPRequestHandler):
    service: FakeService

    def do_GET(self) -> None:
        service = self.service
        if service.moved_to:
            self._answer(302, None, Location=service.moved_to + self.path)
            return
        service.requests.append((self.path, dict(self.headers), b""))
        text = json.dumps(service.rules)
        etag = f'"{hash(text)}"'
        if service.away:
            self._answer(503, {})
        elif self.headers.get("If-None-Match") == etag:
            self._answer(304, None, ETag=etag)
        else:
            self._answer(200, service.rules, ETag=etag)

    def do_POST(self) -> None:
        service, body = self.service, self.rfile.read(int(self.headers["Content-Length"]))
        service.on_counts()
        if service.moved_to:
            self._answer(302, None, Location=service.moved_to + self.path)
            return
        with service.lock:
            service.requests.append((self.path, dict(self.headers), body))
            fault = service.faults.pop(0) if service.faults else ""
            if service.away or fault == "before":
                self._answer(503, {"code": "unavailable"})
                return
            status, answer = service.take(self.headers["Idempotency-Key"], body)
        if fault != "after":
            self._answer(status, answer)

    def _answer(self, status: int, document: Any, **headers: str) -> None:
        text = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client was killed amid its request


@contextmanager
def fake_service() -> Iterator[FakeService]:
    service = FakeService()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"service": service}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
