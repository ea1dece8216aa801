"""Clients that misbehave: slow, silent, gone. And a good one, which must not notice them."""

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

from tests.deployment.installation import Installation, built_image, installation
from tests.resilience.databases import postgresql
from tests.resilience.service import served

Life = TypeVar("Life")

# Seconds within which a good client must have its answer.
PATIENCE = 5


@dataclass
class Front:
    """The address that clients connect to: gunicorn's own port, or nginx in front of it."""

    url: str
    certificate: Path | None = None

    def session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.certificate or True)
        return session

    def connect(self) -> socket.socket:
        """Open a connection over which any bytes can be sent."""
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
    """Start gunicorn without a proxy, as it is by default."""
    with postgresql() as database, served(database) as service:
        yield Front(service.url)


@contextmanager
def behind_nginx() -> Iterator[Front]:
    """Start default of deploy/: nginx with TLS, and workers of one thread."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bandit-clients-"))
        image = stack.enter_context(built_image(Path(folder, "app")))
        made = stack.enter_context(installation(Path(folder), image))
        assert made.run("migrate").returncode == 0
        stack.enter_context(made.serving(**_OPEN))
        yield _front(made)


_OPEN = {"API_KEY_REQUIRED": "false", "THROTTLE_READ": "1000000/min", "THROTTLE_WRITE": "1000000/min"}


def _front(made: Installation) -> Front:
    return Front(made.url, made.certificate)


@contextmanager
def dripping(front: Front, clients: int, at_once: bytes, rest: bytes) -> Iterator[None]:
    """Start clients that send ``rest`` at one byte a second. A client that the service cuts off connects again."""
    stop = threading.Event()
    threads = [
        threading.Thread(target=_drip_until, args=(front, at_once, rest, stop)) for _ in range(clients)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _drip_until(front: Front, at_once: bytes, rest: bytes, stop: threading.Event) -> None:
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
    """Open connections that send nothing, not even a TLS greeting."""
    place = urlsplit(front.url)
    address = (place.hostname or "", place.port or 0)
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection(address, 30))
        yield


def hang_up(connection: socket.socket) -> None:
    """Reset the connection, as the system does for a client that is killed."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def answer_to(connection: socket.socket) -> bytes:
    """Everything the service sends until it closes the connection."""
    parts: list[bytes] = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)


def slowest(ask: Callable[[], requests.Response], seconds: float) -> float:
    """Ask again and again for some seconds; the longest wait for an answer."""
    waits: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        started = time.monotonic()
        answer = ask()
        assert answer.status_code == 200, answer.text
        waits.append(time.monotonic() - started)
        time.sleep(0.02)  # it looks often enough, and is not the load itself
    return max(waits)


def half_closed_answer(connection: socket.socket) -> bytes:
    """Close the sending half of a connection and read the answer. TLS has no half-closed state: no answer."""
    if isinstance(connection, ssl.SSLSocket):
        return b""
    connection.shutdown(socket.SHUT_WR)
    return answer_to(connection)


def at_once(clients: int, live: Callable[[], list[Life]]) -> list[Life]:
    """Run all clients at the same time; everything that they report, in one list."""
    with ThreadPoolExecutor(clients) as pool:
        lives = [pool.submit(live) for _ in range(clients)]
        return [moment for life in lives for moment in life.result()]
