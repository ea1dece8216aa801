"""Clients that are many, slow, silent, wrong or gone must not disturb the others."""

import datetime as dt
import json
import socket
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import requests

from tests.resilience.clients import (
    PATIENCE,
    Front,
    alone,
    at_once,
    behind_nginx,
    dripping,
    half_closed_answer,
    hang_up,
    idle,
    slowest,
)
from tests.resilience.scale import FULL, scaled

Report = Callable[[str], None]

DAY = (dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)).isoformat()
# More than twice the default's eight threads.
SLOW = scaled(20, 100)
SECONDS = scaled(1, 20)
LONG = b"x" * 600


_NGINX = pytest.param(
    behind_nginx,
    id="behind nginx",
    marks=pytest.mark.skipif(not FULL, reason="takes half a minute to set up; ./dev bench resilience"),
)


@pytest.fixture(scope="module", params=[pytest.param(alone, id="alone"), _NGINX])
def front(request: pytest.FixtureRequest) -> Iterator[Front]:
    with request.param() as made:
        created = made.post(
            "/api/v1/experiments/", {"name": "Button", "variants": [{"name": "a"}, {"name": "b"}]}
        )
        assert created.status_code == 201, created.text
        assert made.post("/api/v1/experiments/button/start/", {}).status_code == 200
        assert made.post("/api/v1/experiments/button/allocation/", {}).status_code == 201
        yield made


def _day(name: str, impressions: int) -> dict[str, object]:
    row = {"variant_name": name, "impressions": impressions, "clicks": 1, "conversions": 0}
    return {"experiment_id": "button", "date": DAY, "variants": [row]}


def _rows(front: Front) -> list[object]:
    rows = front.get("/api/v1/experiments/button/metrics/").json()["results"]
    assert isinstance(rows, list)
    return rows


def test_crowd__256_clients_at_once__every_request_is_answered(front: Front, report: Report) -> None:
    until = time.monotonic() + scaled(1, 60)

    def live() -> list[tuple[int, float]]:
        with front.session() as session:
            return list(_ask_until(session, front, until))

    answers = at_once(256, live)

    statuses = Counter(status for status, _ in answers)
    waits = [wait for _, wait in answers]
    report(f"answers {dict(statuses)}; median {statistics.median(waits):.2f} s, slowest {max(waits):.1f} s")
    assert set(statuses) == {200}


def _ask_until(session: requests.Session, front: Front, until: float) -> Iterator[tuple[int, float]]:
    """Read and write in turn until the time is over, and at least once."""
    while True:
        for method, path, body in (
            ("GET", "/api/v1/experiments/button/allocation/", None),
            ("POST", "/api/v1/events/", _day("a", 1000)),
        ):
            started = time.monotonic()
            answer = session.request(method, front.url + path, json=body, timeout=60)
            yield answer.status_code, time.monotonic() - started
        if time.monotonic() > until:
            return


def test_slow_client__headers_byte_by_byte__delays_no_other(front: Front, report: Report) -> None:
    half = front.head("GET", "/health", X_Long="")[:-4]

    with dripping(front, SLOW, half, LONG):
        wait = slowest(lambda: front.get("/health"), SECONDS)

    report(f"{SLOW} slow clients; the slowest answer took {wait:.2f} s")
    assert wait < PATIENCE


def test_slow_client__body_byte_by_byte__delays_no_other(front: Front, report: Report) -> None:
    head = _post_head(front, 1000)

    with dripping(front, SLOW, head, LONG):
        wait = slowest(lambda: front.get("/health"), SECONDS)

    report(f"{SLOW} slow clients; the slowest answer took {wait:.2f} s")
    assert wait < PATIENCE


def test_slow_client__body_too_large_and_byte_by_byte__delays_no_other(front: Front, report: Report) -> None:
    """The body is refused by its length; the rest of it is not read."""
    head = _post_head(front, 10**9)

    with dripping(front, SLOW, head, LONG):
        wait = slowest(lambda: front.get("/health"), SECONDS)

    report(f"{SLOW} slow clients; the slowest answer took {wait:.2f} s")
    assert wait < PATIENCE


def test_slow_client__chunks_byte_by_byte__delays_no_other(front: Front, report: Report) -> None:
    head = front.head("POST", "/api/v1/events/", Content_Type="application/json", Transfer_Encoding="chunked")

    with dripping(front, SLOW, head + b"3e8\r\n", LONG):
        wait = slowest(lambda: front.get("/health"), SECONDS)

    report(f"{SLOW} slow clients; the slowest answer took {wait:.2f} s")
    assert wait < PATIENCE


def test_answered_client__never_closes_its_end__delays_no_other(front: Front, report: Report) -> None:
    """The service waits for a client to close its end, and serves others meanwhile."""
    with ExitStack() as stack:
        for _ in range(SLOW):
            connection = stack.enter_context(front.connect())
            connection.sendall(front.head("GET", "/health", Connection="close"))
        wait = slowest(lambda: front.get("/health"), SECONDS)

    report(f"{SLOW} clients that stay; the slowest answer took {wait:.2f} s")
    assert wait < PATIENCE


def test_client__gone_in_the_middle__leaves_no_trace(front: Front, report: Report) -> None:
    body = json.dumps(_day("b", 777_777)).encode()
    whole = _post_head(front, len(body)) + body
    rows, clients = _rows(front), scaled(50, 500)

    for client in range(clients):
        connection = front.connect()
        connection.sendall(whole[: 1 + client * (len(whole) - 2) // clients])
        (hang_up if client % 2 else socket.socket.close)(connection)
    wait = slowest(lambda: front.get("/health"), 1)

    report(f"{clients} clients gone; the slowest answer took {wait:.2f} s")
    assert _rows(front) == rows
    assert wait < PATIENCE


def test_length__longer_than_the_body__is_refused_and_nothing_is_recorded(
    front: Front, report: Report
) -> None:
    """A client died while it sent. The part that came is valid JSON by chance, and is still refused."""
    body = json.dumps(_day("b", 888_888)).encode()

    _send_cut(front, report, _post_head(front, len(body) + 40) + body)


def test_length__of_a_file_cut_between_two_rows__is_refused_and_nothing_is_recorded(
    front: Front, report: Report
) -> None:
    lines = "experiment_id,date,variant_name,impressions,clicks\r\n" + f"button,{DAY},b,888888,1\r\n" * 9
    part = f'--cut\r\nContent-Disposition: form-data; name="file"; filename="day.csv"\r\n\r\n{lines}'
    head = front.head(
        "POST", "/upload-data", Content_Type="multipart/form-data; boundary=cut", Content_Length=10**5
    )

    _send_cut(front, report, head + part.encode())


def _send_cut(front: Front, report: Report, request: bytes) -> None:
    """Send a request that is cut short. It is refused, or behind a proxy not answered, and records nothing."""
    rows = _rows(front)

    with front.connect() as connection:
        connection.sendall(request)
        answer = half_closed_answer(connection)

    report(_first_words(answer))
    assert not answer or answer.startswith(b"HTTP/1.1 400")
    assert _rows(front) == rows


def test_length__shorter_than_the_body__is_refused_and_nothing_is_recorded(
    front: Front, report: Report
) -> None:
    body, rows = json.dumps(_day("b", 888_888)).encode(), _rows(front)

    with front.connect() as connection:
        connection.sendall(_post_head(front, len(body) - 40) + body)
        answer = connection.recv(65536)

    report(_first_words(answer))
    assert answer.startswith(b"HTTP/1.1 400")
    assert _rows(front) == rows


def _post_head(front: Front, length: int) -> bytes:
    return front.head("POST", "/api/v1/events/", Content_Type="application/json", Content_Length=length)


def _first_words(answer: bytes) -> str:
    return answer.partition(b"\r\n")[0].decode() or "closed"


def test_connections__a_thousand_idle__delay_no_other(front: Front, report: Report) -> None:
    connections = scaled(300, 1000)

    with idle(front, connections):
        wait = slowest(lambda: front.get("/health"), SECONDS)

    report(f"{connections} idle; the slowest answer took {wait:.2f} s")
    assert wait < PATIENCE
