"""An installation as an operator has it, without containers: the files of the image in a read-only folder, its own
entrypoint, a real PostgreSQL, and nginx with TLS from a certificate made for the test."""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import requests

from tests.conftest import ROOT
from tests.deployment.dockerfile import copied_names
from tests.processes.clusters import database_of_its_own
from tests.processes.forks import Process, interpreter
from tests.processes.originals import original

# What has not happened by then hangs: on a machine with twenty other processes at work a start takes two minutes.
START_SECONDS = COMMAND_SECONDS = 600
_NGINX_HINT = "These tests need nginx. ./dev test installs it as root; else install the package 'nginx'."


class Image(NamedTuple):
    """The files that a container would have, and what they were when it was built."""

    folder: Path
    files: frozenset[Path]


@dataclass
class Installation:
    folder: Path
    image: Image
    database: Path
    https: int
    http: int
    app: int
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def certificate(self) -> Path:
        return self.folder / "certificates/fullchain.pem"

    @property
    def url(self) -> str:
        return f"https://localhost:{self.https}"

    def session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False  # a bundle named by the environment would win
        session.verify = str(self.certificate)
        return session

    def command(self, *arguments: str) -> list[str]:
        return [*_without_roots_power_to_write(), "deploy/entrypoint.sh", *arguments]

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments), env={**self.environment, **variables}, cwd=self.image.folder,
            capture_output=True, text=True, timeout=COMMAND_SECONDS,
        )  # fmt: skip

    @contextmanager
    def serving(self, **variables: str) -> Iterator[subprocess.Popen[str]]:
        """Run the role web until the block ends; it is healthy when the block begins."""
        log = (self.folder / "web.log").open("w+")
        with log, subprocess.Popen(
            self.command("web"), env={**self.environment, **variables}, cwd=self.image.folder,
            stdout=log, stderr=subprocess.STDOUT, text=True,
        ) as server:  # fmt: skip
            try:
                wait_until_well(f"http://127.0.0.1:{self.app}/health", self.folder / "web.log", server)
                yield server
            finally:
                server.send_signal(signal.SIGTERM)
                server.wait(timeout=COMMAND_SECONDS)


class _Server(Protocol):
    def poll(self) -> int | None: ...


def wait_until_well(address: str, log: Path, server: _Server) -> None:
    """Wait for the answer 200, for as long as the server runs."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        try:
            if requests.get(address, timeout=5).status_code == 200:
                return
        except requests.RequestException:
            pass  # not yet
        time.sleep(0.2)
    raise AssertionError(f"{address} was not well after {START_SECONDS} seconds:\n{log.read_text()}")


def _without_roots_power_to_write() -> list[str]:
    """Root may write where permissions say no; a container on a read-only disk may not."""
    if os.geteuid() or not shutil.which("setpriv"):
        return []
    return ["setpriv", "--bounding-set", "-dac_override", "--inh-caps", "-dac_override"]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as client:
            if not client.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.05)
    raise AssertionError(f"nobody listens on {port}")


@contextmanager
def installation(folder: Path, image: Image) -> Iterator[Installation]:
    """Everything but the service itself is running."""
    with ExitStack() as stack:
        socket_folder = stack.enter_context(database_of_its_own())
        made = Installation(folder, image, socket_folder, free_port(), free_port(), free_port())
        made.environment = _environment(made)
        _make_certificate(made)
        stack.enter_context(nginx(made))
        yield made


def _environment(made: Installation) -> dict[str, str]:
    """Build the variables that docker-compose.prod.yml sets, and nothing of the environment the tests run in."""
    (made.folder / "secret_key").write_text(secrets.token_urlsafe(50))
    temporary = made.folder / "tmp"
    temporary.mkdir()
    return {
        # Programs are forks here. What they load is the image's, apart from libraries.
        "PATH": f"{interpreter(*_without_roots_power_to_write(), root=made.image.folder)}:{path()}",
        "HOME": "/nonexistent",
        "TMPDIR": str(temporary),
        "PYTHONDONTWRITEBYTECODE": "1",
        "ALLOWED_HOSTS": "localhost",
        "SECRET_KEY_FILE": str(made.folder / "secret_key"),
        "DATABASE_URL": f"postgresql://bandit:@/bandit?host={made.database}",
        "PROXY_COUNT": "1",
        # As between containers: nginx has an address that gunicorn does not know.
        "FORWARDED_ALLOW_IPS": "10.0.0.1",
        "BIND_ADDRESS": "127.0.0.1",
        "PORT": str(made.app),
        "WEB_CONCURRENCY": "2",
        "WEB_THREADS": "4",
        "PROMETHEUS_MULTIPROC_DIR": str(temporary / "metrics"),
    }


@contextmanager
def built_image(folder: Path) -> Iterator[Image]:
    """Put an image's files into an empty folder, and take away the write permission."""
    with original("image", _build) as built:
        folder.mkdir(exist_ok=True)
        subprocess.run(["cp", "-a", f"{built}/.", folder], check=True)
    subprocess.run(["chmod", "-R", "a-w", folder], check=True)
    try:
        yield Image(folder, frozenset(folder.rglob("*")))
    finally:
        # So that it can be deleted.
        subprocess.run(["chmod", "-R", "u+w", folder], check=True)


def copy_static_files(folder: Path) -> None:
    """Put the static files that an image has collected into a new folder."""
    with original("image", _build) as built:
        shutil.copytree(built / "staticfiles", folder)


def _build(folder: Path) -> None:
    """Run the Dockerfile's COPY lines, its collectstatic and its compiler.

    What the tree has compiled already comes along: it need not be compiled again.
    """
    for name in copied_names():
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            # Files that another process is just writing are about to have another name.
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.pyc.*"))
        else:
            shutil.copy2(source, target)
    bare = {"PATH": path(), "PYTHONDONTWRITEBYTECODE": "1"}
    for command in (
        ["manage.py", "collectstatic", "--noinput", "--verbosity", "0"],
        ["-m", "compileall", "-q", "."],
    ):
        with Process(command, env=bare, cwd=folder) as process:
            said = process.communicate(timeout=COMMAND_SECONDS)
        assert process.returncode == 0, said


def path() -> str:
    """The places of the programs of this interpreter and of the system."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def _make_certificate(made: Installation) -> None:
    made.certificate.parent.mkdir()
    key = made.certificate.with_name("privkey.pem")
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", made.certificate,
        ],
        check=True, capture_output=True,
    )  # fmt: skip


def nginx_program() -> str:
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, _NGINX_HINT
    return program


def nginx_configuration(made: Installation) -> Path:
    """The file of default, with this one's ports and folders."""
    text = (ROOT / "deploy/nginx/nginx.conf").read_text()
    changes = {
        " /tmp/": f" {made.folder}/tmp/",  # noqa: S108  (as the file has it)
        "app:8000": f"127.0.0.1:{made.app}",
        "listen 8080": f"listen 127.0.0.1:{made.http}",
        "listen 8443": f"listen 127.0.0.1:{made.https}",
        "/etc/nginx/certificates": str(made.certificate.parent),
        "/var/www/acme": str(made.folder / "acme"),
    }
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    if _is_older_than_http2_on():
        text = text.replace("http2 on;", "").replace("ssl default_server;", "ssl http2 default_server;")
    _fill_templates(made)
    path = made.folder / "nginx.conf"
    path.write_text(text)
    return path


def _is_older_than_http2_on() -> bool:
    """Before 1.25.1 the directive was a word of listen."""
    said = subprocess.run([nginx_program(), "-v"], capture_output=True, text=True, check=True).stderr
    numbers = re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", said)
    assert numbers is not None, said
    return tuple(map(int, numbers.groups())) < (1, 25, 1)


def _fill_templates(made: Installation) -> None:
    """As the image's entrypoint does."""
    for template in (ROOT / "deploy/nginx/templates").glob("*.template"):
        text = template.read_text().replace("${HTTPS_PORT}", str(made.https))
        (made.folder / "tmp" / template.stem).write_text(text)


@contextmanager
def nginx(made: Installation) -> Iterator[None]:
    """The proxy alone, whether or not a service is behind it."""
    # As root its workers would be the user nobody, who may not look into a test's folder.
    directives = "daemon off;" + ("" if os.geteuid() else " user root;")
    command = [nginx_program(), "-c", str(nginx_configuration(made)), "-g", directives]
    tested = subprocess.run([*command, "-t"], capture_output=True, text=True)
    assert tested.returncode == 0, tested.stderr
    assert "warn" not in tested.stderr
    log = (made.folder / "nginx.log").open("w")
    with log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        try:
            yield
        finally:
            server.terminate()
            server.wait(timeout=10)
