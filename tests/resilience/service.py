"""The service as gunicorn runs it in production, on a database of its own, for tests that pull at it."""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.conftest import ROOT
from tests.deployment.installation import database_of_its_own, free_port, wait_until_well

WORKERS = 2


@dataclass
class Service:
    url: str
    environment: dict[str, str]
    server: subprocess.Popen[bytes]
    log: Path

    def manage(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=self.environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, *arguments: str) -> str:
        """A command that must succeed; what it printed."""
        with self.manage(*arguments) as command:
            output, errors = command.communicate(timeout=120)
        assert command.returncode == 0, errors
        return output

    def workers(self) -> list[int]:
        """Process ids."""
        children = Path(f"/proc/{self.server.pid}/task/{self.server.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def get(self, path: str, **more: object) -> requests.Response:
        return requests.get(self.url + path, timeout=30, **more)  # type: ignore[arg-type]

    def post(self, path: str, body: object, **headers: str) -> requests.Response:
        return requests.post(self.url + path, json=body, headers=headers, timeout=30)

    def post_once(self, path: str, body: object, key: str) -> requests.Response:
        """However often it is sent."""
        return self.post(path, body, **{"Idempotency-Key": key})


def production(database: str, **more: str) -> dict[str, str]:
    """The environment of an installation whose callers need no key."""
    # Nothing of the tests' own settings, such as DEBUG.
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "DATABASE_URL": database,
        "SECRET_KEY": secrets.token_urlsafe(50),
        "ALLOWED_HOSTS": "127.0.0.1",
        "SECURE_SSL_REDIRECT": "false",
        "API_KEY_REQUIRED": "false",
        "THROTTLE_READ": "1000000/min",
        "THROTTLE_WRITE": "1000000/min",
        "LOG_LEVEL": "WARNING",
        **more,
    }


@contextmanager
def sqlite() -> Iterator[str]:
    """The URL of a file of the test's own."""
    with tempfile.TemporaryDirectory(prefix="bandit-") as folder:
        yield f"sqlite:///{folder}/bandit.sqlite3"


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a server of the test's own."""
    with database_of_its_own() as folder:
        yield postgresql_url(folder)


def postgresql_url(folder: Path) -> str:
    """Of the server whose data and socket are there."""
    return f"postgresql://bandit:@/bandit?host={folder}"


@contextmanager
def served(database: str, options: Sequence[str] = (), **variables: str) -> Iterator[Service]:
    """Migrated, and well when the block begins; ``options`` are gunicorn's."""
    environment = production(database, **{"WEB_CONCURRENCY": str(WORKERS), **variables})
    port = free_port()
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"], cwd=ROOT, env=environment, check=True
    )
    command = [sys.executable, "-m", "gunicorn", "bandit_project.wsgi", "--bind", f"127.0.0.1:{port}"]
    with tempfile.NamedTemporaryFile(prefix="bandit-log-") as log:
        server = subprocess.Popen([*command, *options], cwd=ROOT, env=environment, stdout=log, stderr=log)
        service = Service(f"http://127.0.0.1:{port}", environment, server, Path(log.name))
        try:
            wait_until_well(f"{service.url}/health", service.log)
            yield service
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=60)
