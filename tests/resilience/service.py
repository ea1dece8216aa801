"""Start the service as gunicorn runs it in production, on a database of its own."""

import os
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.deployment.installation import COMMAND_SECONDS, free_port, wait_until_well
from tests.processes.forks import Process
from tests.resilience.production import production

WORKERS = 2


@dataclass
class Service:
    url: str
    environment: dict[str, str]
    server: Process
    log: Path
    command: Sequence[str] = ()

    def manage(self, *arguments: str) -> Process:
        return Process(["manage.py", *arguments], env=self.environment)

    def run(self, *arguments: str) -> str:
        """Run a command, which must succeed; its output."""
        with self.manage(*arguments) as command:
            output, errors = command.communicate(timeout=COMMAND_SECONDS)
        assert command.returncode == 0, errors
        return output

    def workers(self) -> list[int]:
        """The process ids of the workers."""
        children = Path(f"/proc/{self.server.pid}/task/{self.server.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def start(self) -> None:
        """Start gunicorn, on the port that it had before; it answers a little later."""
        with self.log.open("ab") as log:
            self.server = Process(self.command, env=self.environment, stdout=log, stderr=log)

    def kill(self) -> None:
        """Kill the master and its workers at once, as a machine that loses its power does."""
        pids = [self.server.pid, *self.workers()]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.server.wait()

    def get(self, path: str, **more: object) -> requests.Response:
        return requests.get(self.url + path, timeout=30, **more)  # type: ignore[arg-type]

    def post(self, path: str, body: object, **headers: str) -> requests.Response:
        return requests.post(self.url + path, json=body, headers=headers, timeout=30)

    def post_once(self, path: str, body: object, key: str) -> requests.Response:
        """Post under an idempotency key: it counts once, however often it is sent."""
        return self.post(path, body, **{"Idempotency-Key": key})


@contextmanager
def served(database: str, options: Sequence[str] = (), **variables: str) -> Iterator[Service]:
    """Start a service and wait until it answers. ``database`` has its tables; ``options`` are gunicorn's."""
    environment = production(database, **{"WEB_CONCURRENCY": str(WORKERS), **variables})
    port = free_port()
    command = ["-m", "gunicorn", "bandit_project.wsgi", "--bind", f"127.0.0.1:{port}"]
    with tempfile.NamedTemporaryFile(prefix="bandit-log-") as log:
        command += options
        server = Process(command, env=environment, stdout=log, stderr=log)
        service = Service(f"http://127.0.0.1:{port}", environment, server, Path(log.name), command)
        try:
            wait_until_well(f"{service.url}/health", service.log, server)
            yield service
        finally:
            service.server.send_signal(signal.SIGTERM)
            service.server.wait(timeout=COMMAND_SECONDS)
