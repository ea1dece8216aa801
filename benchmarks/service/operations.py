"""Run the production compose file on a real engine, as DEPLOY_CHECKLIST.md says, and time what visitors notice.

    ./dev bench operations                       # in a temporary folder; needs docker with compose
    ./dev bench operations --folder FOLDER       # where the engine may look for what it mounts
    ./dev bench operations --also FILE           # another compose file on top, such as one that builds elsewhere

Install, an upgrade whose migration takes 20 seconds, one whose migration fails, one that does not start, a roll-back
with the service down, and containers that swap their addresses. Visitors ask through nginx all the while: four for
/health, four with a POST that the service refuses for want of a key. Ends with 1 where the outcome is not the promised
one.
"""

import argparse
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from benchmarks.machine import machine

_ROOT = Path(__file__).resolve().parents[2]
_PROJECT, _PROBE = "bandit-operations", "bandit-operations-visitor"
_SLOW_SECONDS = 20
# A goal of an upgrade; the visitors' own time limit is beyond it.
_MOST_SECONDS_AWAY = 10
_MIGRATION = """import time

from django.db import migrations


def run(apps, schema_editor):
    {body}


class Migration(migrations.Migration):
    dependencies = [("experiments", "{after}")]
    operations = [migrations.RunPython(run, migrations.RunPython.noop)]
"""
_VISITOR = """
import json, ssl, sys, threading, time, urllib.error, urllib.request
context = ssl._create_unverified_context()
def ask(path, data):
    while True:
        began, version = time.time(), ""
        request = urllib.request.Request("https://nginx:8443" + path, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=20, context=context) as answer:
                code, version = answer.status, json.load(answer)["version"]
        except urllib.error.HTTPError as error:
            code = error.code
        except Exception as error:
            code, version = 0, type(error).__name__
        now = time.time()
        sys.stdout.write(json.dumps([now, code, version, now - began]) + chr(10))
        sys.stdout.flush()
        time.sleep(0.1)
for _ in range(4):
    for asked in (("/health", None), ("/experiments", b"{}")):
        threading.Thread(target=ask, args=asked).start()
"""


class Answer(NamedTuple):
    """An answer to a visitor, and when it came after how long; code 0 where nobody answered."""

    at: float
    code: int
    version: str
    seconds: float

    @property
    def is_the_services(self) -> bool:
        """Whether it is what the service says when all is well: 401 to the POST."""
        return self.code in (200, 401)


class Installation:
    """A copy of the source with secrets, as an operator has it."""

    def __init__(self, folder: Path, also: list[str]) -> None:
        self.folder = folder
        files = ":".join(["docker-compose.prod.yml", *also])
        self._environment = {**os.environ, "COMPOSE_PROJECT_NAME": _PROJECT, "COMPOSE_FILE": files}
        self.failures: list[str] = []

    def run(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, cwd=self.folder, env=self._environment, input=given, capture_output=True, text=True
        )

    def compose(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return self.run("docker", "compose", *words, given=given)

    def begin(self, *words: str) -> "subprocess.Popen[str]":
        """Start a command of docker compose; what it says is on its standard output."""
        return subprocess.Popen(
            ("docker", "compose", *words), cwd=self.folder, env=self._environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def replace(self, after: str) -> None:
        done = self.run("deploy/replace.sh")
        self.expect(f"deploy/replace.sh ends with 0 after {after}", done.returncode == 0, done.stderr)

    def once(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return self.compose("run", "--rm", "--no-deps", "--no-TTY", "migrate", *words, given=given)

    def expect(self, what: str, is_so: bool, detail: str = "") -> None:
        if not is_so:
            self.failures.append(what)
            print(f"NOT SO: {what}\n{detail[-2000:]}", flush=True)

    def prepare(self) -> None:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=_ROOT, capture_output=True, text=True, check=True
        )
        for name in listed.stdout.split("\0")[:-1]:
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(_ROOT / name, target)
        made = self.folder / "deploy/secrets/certificates"
        made.mkdir(parents=True)
        (self.folder / "deploy/acme").mkdir()
        for name in ("secret_key", "postgres_password", "metrics_token"):
            (made.parent / name).write_text(secrets.token_hex(32))
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=nginx",
             "-keyout", "privkey.pem", "-out", "fullchain.pem"],
            cwd=made, check=True, capture_output=True,
        )  # fmt: skip
        # Modes as a fresh checkout has them, whatever this one has; the secrets are read by the containers' users.
        subprocess.run(["chmod", "-R", "u=rwX,go=rX", self.folder], check=True)

    def become(self, version: str, settings: str = "") -> None:
        """Have the source of a version: its number, in the code and in .env, where more settings may be."""
        file = self.folder / "bandit_project/__init__.py"
        file.write_text(re.sub(r'__version__ = ".*"', f'__version__ = "{version}"', file.read_text()))
        self.select(version, settings)

    def select(self, version: str, settings: str = "") -> None:
        """Choose the image that containers are made of."""
        own = f"ALLOWED_HOSTS=localhost,nginx\nVERSION={version}\nHTTP_PORT=18080\nHTTPS_PORT=18443\n"
        (self.folder / ".env").write_text(own + settings)

    def add_migration(self, name: str, body: str) -> None:
        folder = self.folder / "experiments/migrations"
        after = max(path.stem for path in folder.glob("[0-9]*.py"))
        (folder / f"{name}.py").write_text(_MIGRATION.format(body=body, after=after))


class Visitor:
    """Asks through nginx from a container of its own: eight at once, each some times a second."""

    @contextmanager
    def asking(self, image: str) -> Iterator[None]:
        subprocess.run(["docker", "rm", "--force", _PROBE], capture_output=True)
        network = ["--network", f"{_PROJECT}_outside"]
        subprocess.run(
            ["docker", "run", "--detach", "--name", _PROBE, *network, "--entrypoint", "python", image, "-c", _VISITOR],
            check=True, capture_output=True,
        )  # fmt: skip
        try:
            yield
        finally:
            subprocess.run(["docker", "rm", "--force", _PROBE], check=True, capture_output=True)

    def answers(self, since: float) -> list[Answer]:
        time.sleep(2)  # the last ones
        logged = subprocess.run(["docker", "logs", _PROBE], capture_output=True, text=True, check=True).stdout
        found = sorted(Answer(*json.loads(line)) for line in logged.splitlines())
        return [answer for answer in found if answer.at >= since]


def seconds_away(answers: list[Answer]) -> float:
    """The longest time without an answer of the service."""
    good = [answer.at for answer in answers if answer.is_the_services]
    return max((b - a for a, b in pairwise(good)), default=float("inf"))


def last_health(answers: list[Answer]) -> tuple[int, str]:
    return next(((a.code, a.version) for a in reversed(answers) if a.code != 401), (0, ""))


def install(made: Installation, visitor: Visitor) -> None:
    built = made.compose("build")
    made.expect("the image builds", built.returncode == 0, built.stderr)
    started = made.compose("up", "--detach", "--wait", "--no-build")
    made.expect("up --wait ends with 0", started.returncode == 0, started.stderr)


def upgrade(made: Installation, visitor: Visitor) -> None:
    plan = made.compose(
        "exec", "--no-TTY", "app", "deploy/entrypoint.sh", "manage", "showmigrations", "--plan"
    )
    (made.folder / "migrations-before.txt").write_text(plan.stdout)
    made.become("0.2.0")
    made.add_migration("9001_slow", f"time.sleep({_SLOW_SECONDS})")
    began = time.time()
    for done in (made.compose("build"), made.once("migrate")):
        made.expect("building and migrating end with 0", done.returncode == 0, done.stderr)
    migrated = time.time()
    made.replace("an upgrade")
    answers = visitor.answers(began)
    before = {answer.version for answer in answers if answer.at < migrated and answer.code == 200}
    made.expect("the old version serves until it is replaced", before == {"0.1.0"}, str(before))
    made.expect("the new version serves", last_health(answers) == (200, "0.2.0"), str(answers[-3:]))
    expect_nobody_refused(made, answers)


def expect_nobody_refused(made: Installation, answers: list[Answer]) -> None:
    refused = [answer for answer in answers if not answer.is_the_services]
    away, slowest = seconds_away(answers), max(answer.seconds for answer in answers)
    made.expect("nobody is refused", not refused, str(refused[:3]))
    made.expect(f"away for less than {_MOST_SECONDS_AWAY} s", away < _MOST_SECONDS_AWAY, str(away))
    print(
        f"  {len(answers)} answers, {len(refused)} of them not the service's; the longest time between two "
        f"{away:.1f} s, the slowest after {slowest:.1f} s"
    )


def fail(made: Installation, visitor: Visitor) -> None:
    made.become("0.3.0")
    made.add_migration("9002_fails", "raise RuntimeError('this migration fails')")
    began = time.time()
    built = made.compose("build")
    made.expect("the image builds", built.returncode == 0, built.stderr)
    done = made.once("migrate")
    made.expect("a migration that fails says so", "this migration fails" in done.stderr, done.stderr)
    made.expect("and ends with 1", done.returncode == 1)
    made.expect("a version that is not migrated replaces none", made.run("deploy/replace.sh").returncode == 1)
    answers = visitor.answers(began)
    made.expect("everything goes on as it was", last_health(answers) == (200, "0.2.0"), str(answers[-3:]))
    expect_nobody_refused(made, answers)


def fail_to_start(made: Installation, visitor: Visitor) -> None:
    for path in (made.folder / "experiments/migrations").glob("9002_*"):
        path.unlink()
    with (made.folder / "bandit_project/wsgi.py").open("a") as file:
        file.write("raise RuntimeError('this version does not start')\n")
    made.become("0.4.0")
    began = time.time()
    built = made.compose("build")
    made.expect("the image builds", built.returncode == 0, built.stderr)
    done = made.run("deploy/replace.sh")
    made.expect("a version that does not start ends with 1", done.returncode == 1, done.stderr)
    made.expect("and says why", "this version does not start" in done.stderr, done.stderr)
    answers = visitor.answers(began)
    made.expect("the version before serves", last_health(answers) == (200, "0.2.0"), str(answers[-3:]))
    expect_nobody_refused(made, answers)


def roll_back(made: Installation, visitor: Visitor) -> None:
    made.select("0.2.0")
    made.compose("stop", "app", "scheduler")
    plan = (made.folder / "migrations-before.txt").read_text()
    done = made.once("manage", "rollback_to", "-", given=plan)
    made.expect(
        "the roll-back takes back what was added", "Unapplying experiments.9001" in done.stdout, done.stderr
    )
    made.select("0.1.0")
    made.replace("a roll-back")
    last = last_health(visitor.answers(0))
    made.expect("the old version serves", last == (200, "0.1.0"), str(last))


def swap_addresses(made: Installation, visitor: Visitor) -> None:
    made.compose("stop", "app", "scheduler")
    for service in ("scheduler", "app"):
        made.compose("start", service)
    began = time.time()
    last = last_health(visitor.answers(began))
    while time.time() < began + 60 and last[0] != 200:
        last = last_health(visitor.answers(began))
    made.expect("nginx finds the new address by itself", last[0] == 200, str(last))


_STEPS: tuple[tuple[str, Callable[[Installation, Visitor], None]], ...] = (
    ("upgrade, with a migration of 20 s", upgrade),
    ("upgrade whose migration fails", fail),
    ("upgrade whose new version does not start", fail_to_start),
    ("roll-back with the service down", roll_back),
    ("app and scheduler with swapped addresses", swap_addresses),
)


def run(made: Installation) -> None:
    visitor = Visitor()
    made.become("0.1.0")
    timed("install: build, start, healthy", partial(install, made, visitor))
    with visitor.asking("bandit:0.1.0"):
        time.sleep(3)
        for name, step in _STEPS:
            timed(name, partial(step, made, visitor))


def timed(name: str, step: Callable[[], None]) -> None:
    began = time.monotonic()
    step()
    print(f"{name}: {time.monotonic() - began:.1f} s", flush=True)


def run_in_a_copy(what: str, run: Callable[[Installation], None]) -> int:
    """Run what a benchmark of an installation does, in a copy of the source that is removed afterwards."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--folder", type=Path, help="an empty folder for the copy of the source")
    parser.add_argument("--also", action="append", default=[], help="another compose file on top")
    options = parser.parse_args()
    if subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        print("docker with compose is needed, and an engine that answers.", file=sys.stderr)
        return 2
    print(f"{machine()}; load before: {os.getloadavg()[0]:.1f}", flush=True)
    if options.folder:
        return _run_once(Installation(options.folder, options.also), run)
    with tempfile.TemporaryDirectory(prefix="bandit-operations-") as folder:
        return _run_once(Installation(Path(folder), options.also), run)


def _run_once(made: Installation, run: Callable[[Installation], None]) -> int:
    made.prepare()
    try:
        run(made)
    finally:
        # also what only a profile starts
        made.compose("--profile", "*", "down", "--volumes", "--timeout", "5")
    print("\n".join(f"NOT SO: {failure}" for failure in made.failures) or "All as promised.")
    return bool(made.failures)


if __name__ == "__main__":
    sys.exit(run_in_a_copy("Run the production compose file, and time what visitors notice.", run))
