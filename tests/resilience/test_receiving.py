"""The workers of bandit_project/server/worker.py receive requests whole, in time, from any number of clients."""

import http.client
import json
import re
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from bandit_project.server import worker
from tests.processes.files import sqlite_in
from tests.resilience.clients import Front, answer_to
from tests.resilience.load import PATIENCE
from tests.resilience.scale import FULL, scaled
from tests.resilience.service import Service, served

Report = Callable[[str], None]


_patient = pytest.mark.skipif(not FULL, reason="waits for a deadline; ./dev bench resilience")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("receiving")
    with served(sqlite_in(folder)) as made:
        yield made


@pytest.fixture(scope="module")
def front(service: Service) -> Front:
    return Front(service.url)


def test_connection__kept_alive__serves_one_request_after_another(front: Front) -> None:
    with closing(http.client.HTTPConnection(urlsplit(front.url).netloc, timeout=30)) as client:
        client.connect()
        connection, statuses = client.sock, []
        for body in (None, "{}", None, "{}"):
            client.request(
                "POST" if body else "GET", "/api/v1/events/", body, {"Content-Type": "application/json"}
            )
            answer = client.getresponse()
            statuses.append((answer.status, len(answer.read()) > 0, client.sock is connection))

    assert statuses == [(405, True, True), (422, True, True)] * 2


def test_requests__sent_without_waiting_for_answers__are_answered_in_order(front: Front) -> None:
    get, last = front.head("GET", "/health/live"), front.head("GET", "/nowhere", Connection="close")

    with front.connect() as connection:
        connection.sendall(get * 3 + last)
        answer = answer_to(connection)

    assert _statuses(answer) == [200, 200, 200, 404]


def test_client__that_sends_one_request_right_after_the_other__may_do_what_others_may(front: Front) -> None:
    """After two quick requests a thread waits for the next: whole, in pieces, large, asking first, or cut off."""
    quick, large = front.head("GET", "/health/live"), b" " * 300_000
    asking = front.head(
        "POST", "/api/v1/events/", Content_Type="application/json", Content_Length=2, Expect="100-continue"
    )
    heavy = front.head("POST", "/api/v1/events/", Content_Type="application/json", Content_Length=300_000)

    with front.connect() as connection:
        answers = [_next_answers(connection, [quick]) for _ in range(20)]
        in_pieces = _next_answers(connection, [quick[:10], quick[10:]])
        _next_answers(connection, [quick])
        interim = _next_answers(connection, [asking])
        refused = _next_answers(connection, [b"{}"])
        _next_answers(connection, [quick])
        unreadable = _next_answers(connection, [heavy + large])
        _next_answers(connection, [quick])
        connection.sendall(heavy + b"{")
        connection.shutdown(socket.SHUT_WR)
        cut_off = _statuses(answer_to(connection))

    assert answers == [[200]] * 20
    assert (in_pieces, interim, refused, unreadable, cut_off) == ([200], [100], [422], [400], [400])


def _next_answers(connection: socket.socket, pieces: list[bytes]) -> list[int]:
    """Send a request in pieces; the statuses of what comes back at once."""
    for piece in pieces:
        time.sleep(0.005 if piece is not pieces[0] else 0)  # so that the pieces arrive as such
        connection.sendall(piece)
    return _statuses(connection.recv(65_536))


def _statuses(answer: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.1 ([0-9]{3})", answer)]


def test_request__in_pieces__is_answered_once_it_is_whole(front: Front) -> None:
    body = json.dumps({"name": "Pieces", "variants": [{"name": "a"}]}).encode()
    whole = front.head(
        "POST", "/api/v1/experiments/", Content_Type="application/json", Content_Length=len(body), Connection="close"
    ) + body  # fmt: skip

    with front.connect() as connection:
        for start in range(0, len(whole), 50):
            connection.sendall(whole[start : start + 50])
            time.sleep(0.01)  # so that the pieces arrive as such
        answer = answer_to(connection)

    assert answer.startswith(b"HTTP/1.1 201")


def test_client__that_asks_before_it_sends_a_large_body__gets_100_continue(front: Front) -> None:
    head = front.head(
        "POST", "/api/v1/events/", Content_Type="application/json", Content_Length=2, Expect="100-continue",
        Connection="close",
    )  # fmt: skip

    with front.connect() as connection:
        connection.sendall(head)
        interim = connection.recv(65536)
        connection.sendall(b"{}")
        answer = answer_to(connection)

    assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert _statuses(answer) == [422]


def test_body__large__arrives_whole(front: Front, report: Report) -> None:
    rows = "button,2025-08-14,a,100,10,1\r\n" * scaled(30_000, 300_000)
    file = "experiment_id,date,variant_name,impressions,clicks,conversions\r\n" + rows

    started = time.monotonic()
    with front.session() as session:
        answer = session.post(
            f"{front.url}/upload-data", files={"file": ("days.csv", file)}, timeout=PATIENCE
        )

    report(f"{len(file) / 1e6:.1f} MB, read and answered in {time.monotonic() - started:.1f} s")
    assert answer.status_code == 200
    assert answer.json()["total_rows"] == scaled(30_000, 300_000)


def test_body__too_large__is_refused_by_its_length_and_not_waited_for(front: Front) -> None:
    head = front.head("POST", "/api/v1/events/", Content_Type="application/json", Content_Length=10**9)

    with front.connect() as connection:
        connection.sendall(head + b"{")
        answer = answer_to(connection)

    assert answer.startswith(b"HTTP/1.1 413")


def test_body__in_chunks__is_taken_for_none_and_ends_the_connection(front: Front) -> None:
    chunked = front.head(
        "POST", "/api/v1/events/", Content_Type="application/json", Transfer_Encoding="chunked"
    )

    with front.connect() as connection:
        connection.sendall(chunked + b"2\r\n{}\r\n0\r\n\r\n")
        connection.sendall(front.head("GET", "/health/live", Connection="close"))
        answer = answer_to(connection)

    assert _statuses(answer) == [422]


def _refused_of(front: Front, clients: int, size: int, stack: ExitStack) -> list[list[int]] | None:
    """Send the beginnings of large bodies, all but their ends; the statuses of those that are answered.

    Each connects when its turn comes: one that sends nothing is closed after some seconds. None where a busy machine
    took too long: the first are then given up before the last is sent, so that nothing was full.
    """
    began = time.monotonic()
    head = front.head("POST", "/api/v1/events/", Content_Type="application/json", Content_Length=size)
    held = []
    for _ in range(clients):
        held.append(stack.enter_context(front.connect()))
        with suppress(ConnectionError):
            held[-1].sendall(head + b" " * (size - 1000))
    if time.monotonic() > began + worker._REQUEST_SECONDS:
        return None
    return [_statuses(connection.recv(1000)) for connection in select.select(held, [], [], 10)[0]]


def test_bodies__more_than_a_worker_may_hold__are_refused_until_there_is_room(
    tmp_path: Path, report: Report
) -> None:
    size = 10 * 1024 * 1024
    clients = worker._WORKER_BYTES // size + 3
    with served(sqlite_in(tmp_path), WEB_CONCURRENCY="1") as service:
        front = Front(service.url)
        until, refused = time.monotonic() + PATIENCE, None
        while refused is None:
            assert time.monotonic() < until, "sending took too long each time"
            with ExitStack() as stack:
                refused = _refused_of(front, clients, size, stack)
                others = front.get("/health").status_code
        after = front.post("/api/v1/events/", {"rows": "x" * (size - 1000)}).status_code

    report(f"{clients} clients of 10 MB; {len(refused)} refused")
    assert 0 < len(refused) < clients
    assert refused == [[503]] * len(refused)
    assert (others, after) == (200, 422)


def test_headers__too_long__are_refused(front: Front) -> None:
    with front.connect() as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nX: " + b"x" * worker._HEAD_BYTES)
        answer = answer_to(connection)

    assert answer.startswith(b"HTTP/1.1 431")


@_patient
def test_refusal__of_a_client_that_still_sends__is_not_lost(front: Front) -> None:
    with front.connect() as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nX: " + b"x" * worker._HEAD_BYTES)
        until = time.monotonic() + 2 * worker._FAREWELL_SECONDS
        while time.monotonic() < until:  # a reset would end it with an error
            time.sleep(0.1)
            connection.sendall(b"x")

        assert _statuses(answer_to(connection)) == [431]


@pytest.mark.parametrize(
    "content",
    [b"\r\n\r\n", b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET\r\n\r\n", b"\x00" * 100 + b"\r\n\r\n"],
    ids=["empty", "tls", "no path", "zeros"],
)
def test_request__that_is_not_http__is_refused_at_once(front: Front, content: bytes) -> None:
    started = time.monotonic()
    with front.connect() as connection:
        connection.sendall(content)
        answer = answer_to(connection)

    assert not answer or answer.startswith(b"HTTP/1.1 400")
    assert time.monotonic() - started < worker._FAREWELL_SECONDS


@_patient
def test_request__that_does_not_come_to_its_end__is_ended(front: Front, report: Report) -> None:
    with front.connect() as said_nothing, front.connect() as said_little:
        said_little.sendall(b"GET / HT")
        started = time.monotonic()
        nothing, ended = answer_to(said_nothing), time.monotonic()
        little, answered = answer_to(said_little), time.monotonic()

    report(f"closed after {ended - started:.0f} s of nothing; 408 after {answered - started:.0f} s")
    assert nothing == b""
    assert little.startswith(b"HTTP/1.1 408")


@_patient
def test_service__stopped__does_not_wait_for_silent_clients(tmp_path: Path, report: Report) -> None:
    with served(sqlite_in(tmp_path)) as service, Front(service.url).connect():
        started = time.monotonic()
        service.server.terminate()
        service.server.wait(timeout=20)

    report(f"{time.monotonic() - started:.1f} s")
    with pytest.raises(requests.ConnectionError):
        service.get("/health")


def _is_open(front: Front) -> bool:
    try:
        front.connect().close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.parametrize("threads", ["8", "1"])
def test_service__stopping_while_a_request_arrives__refuses_others_at_once_and_answers_it(
    tmp_path: Path, threads: str
) -> None:
    with served(sqlite_in(tmp_path), WEB_THREADS=threads) as service:
        front = Front(service.url)
        with front.connect() as slow:
            slow.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n")
            service.server.terminate()
            while service.server.poll() is None and _is_open(front):
                time.sleep(0.01)

            assert service.server.poll() is None
            slow.sendall(b"Connection: close\r\n\r\n")
            assert answer_to(slow).startswith(b"HTTP/1.1 200")
        assert service.server.wait(timeout=20) == 0


def test_worker__of_one_thread__answers_others_while_a_request_arrives_or_may_come(tmp_path: Path) -> None:
    with served(sqlite_in(tmp_path), WEB_THREADS="1", WEB_CONCURRENCY="1") as service:
        front = Front(service.url)
        quick = front.head("GET", "/health/live")
        with front.connect() as first, front.connect() as second:
            assert [_next_answers(client, [quick]) for client in (first, first, second) * 10] == [[200]] * 30
        with front.connect() as slow:
            slow.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n")
            assert [front.get("/health").status_code for _ in range(3)] == [200] * 3
            slow.sendall(b"Connection: close\r\n\r\n")
            assert answer_to(slow).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "length",
    ["{n:020d}", "{n:0100d}", "+{n}", "{n},{n}", "\x0b{n}", "{n}_", "0x{n:x}", "9" * 40, " \t{n}\x0c", ""],
)
def test_length__spelt_oddly__makes_no_request_of_the_body(front: Front, length: str) -> None:
    inner = front.head("GET", "/health/live")
    outer = front.head(
        "POST", "/events", Content_Type="application/json", Content_Length=length.format(n=len(inner))
    )

    with front.connect() as connection:
        connection.sendall(outer + inner)
        answers = _statuses(_all_that_comes(connection))

    assert len(answers) == 1
    assert answers[0] in {400, 413}


def _all_that_comes(connection: socket.socket, seconds: float = 1.0) -> bytes:
    """Read until the end, or until nothing has come for a while."""
    connection.settimeout(seconds)
    answer = b""
    with suppress(TimeoutError, ConnectionError):
        while block := connection.recv(65_536):
            answer += block
    return answer


def test_header__that_names_a_mount_point__is_not_heard(front: Front) -> None:
    with front.connect() as connection:
        connection.sendall(
            front.head("GET", "/health/live", Connection="close")[:-2] + b"SCRIPT_NAME: /zz\r\n\r\n"
        )
        answer = answer_to(connection)

    assert _statuses(answer) == [200]
