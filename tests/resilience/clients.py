"""Clients as they should not be: byte by byte, silent, gone. And a good one, which must not notice them."""

import socket
import ssl
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import requests

from tests.deployment.installation import Installation, installation
from tests.resilience.service import postgresql, served

Life = TypeVar("Life")

# Seconds within which a good client wants its answer, whatever others do.
PATIENCE = 5


@dataclass
class Front:
    """Where clients come in: gunicorn's own port, or nginx before it."""

    url: str
    certificate: Path | None = None

    def session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.certificate or True)
        return session

    def connect(self) -> socket.socket:
        """A connection over which anything can be sent."""
        place = urlsplit(self.url)
        assert place.hostname
        bare = socket.create_connection((place.hostname, place.port or 0), timeout=30)
        if self.certificate is None:
            return bare
        context = ssl.create_default_context(cafile=str(self.certificate))
        return context.wrap_socket(bare, server_hostname=place.hostname)

    def get(self, path: str) -> requests.Response:
        with self.session() as session:
            return session.get(self.url + path, timeout=30)

    def post(self, path: str, body: object) -> requests.Response:
        with self.session() as session:
            return session.post(self.url + path, json=body, timeout=30)

    def head(self, method: str, path: str, **headers: object) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {urlsplit(self.url).netloc}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode()


@contextmanager
def alone() -> Iterator[Front]:
    """gunicorn facing its clients itself, as it does by default."""
    with postgresql() as database, served(database) as service:
        yield Front(service.url)


@contextmanager
def behind_nginx() -> Iterator[Front]:
    """The installation of deploy/: nginx with TLS, and workers of one thread."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bandit-clients-"))
        made = stack.enter_context(installation(Path(folder)))
        assert made.run("migrate").returncode == 0
        stack.enter_context(made.serving(**_OPEN))
        yield _front(made)


_OPEN = {"API_KEY_REQUIRED": "false", "THROTTLE_READ": "1000000/min", "THROTTLE_WRITE": "1000000/min"}


def _front(made: Installation) -> Front:
    return Front(made.url, made.certificate)


@contextmanager
def dripping(front: Front, clients: int, at_once: bytes, rest: bytes) -> Iterator[None]:
    """Clients that send ``rest`` at one byte a second, each by itself; whom the service cuts off comes again."""
    stop = threading.Event()
    threads = [
        threading.Thread(target=_drip_for_ever, args=(front, at_once, rest, stop)) for _ in range(clients)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _drip_for_ever(front: Front, at_once: bytes, rest: bytes, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            with front.connect() as connection:
                connection.sendall(at_once)
                _drip(connection, rest, stop)
        except OSError:
            stop.wait(0.1)  # cut off


def _drip(connection: socket.socket, rest: bytes, stop: threading.Event) -> None:
    for byte in rest:
        if stop.wait(1):
            return
        connection.sendall(bytes([byte]))


@contextmanager
def idle(front: Front, count: int) -> Iterator[None]:
    """Opened, and not a word said: not even TLS's."""
    place = urlsplit(front.url)
    address = (place.hostname or "", place.port or 0)
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection(address, 30))
        yield


def hang_up(connection: socket.socket) -> None:
    """As a client that is killed does: what is on its way is thrown away."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def answer_to(connection: socket.socket) -> bytes:
    """All that comes until the service closes; nothing where it closed without a word."""
    parts: list[bytes] = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)


def slowest(ask: Callable[[], requests.Response], seconds: float) -> float:
    """One good client asks again and again; the longest it waited."""
    waits: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        started = time.monotonic()
        answer = ask()
        assert answer.status_code == 200, answer.text
        waits.append(time.monotonic() - started)
    return max(waits)


def half_closed_answer(connection: socket.socket) -> bytes:
    """Says that nothing more will come, and still listens. TLS has no such thing: there it is gone."""
    if isinstance(connection, ssl.SSLSocket):
        return b""
    connection.shutdown(socket.SHUT_WR)
    return answer_to(connection)


def at_once(clients: int, live: Callable[[], list[Life]]) -> list[Life]:
    """What every client's life came to, all lived at the same time."""
    with ThreadPoolExecutor(clients) as pool:
        lives = [pool.submit(live) for _ in range(clients)]
        return [moment for life in lives for moment in life.result()]
