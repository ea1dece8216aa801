"""Run the production compose file on a real engine, as DEPLOY_CHECKLIST.md says, and time what visitors notice.

    ./dev bench operations                       # in a temporary folder; needs docker with compose
    ./dev bench operations --folder FOLDER       # where the engine may look for what it mounts
    ./dev bench operations --also FILE           # another compose file on top, such as one that builds elsewhere

Install, an upgrade whose migration takes 20 seconds, one whose migration fails, a roll-back with the service down, and
containers that swap their addresses. A visitor asks for /health ten times a second all the while. Ends with 1 where
the outcome is not the promised one.
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
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from benchmarks.machine import machine

_ROOT = Path(__file__).resolve().parents[2]
_PROJECT, _PROBE = "bandit-operations", "bandit-operations-visitor"
_SLOW_SECONDS = 20
_REPLACE = ("up", "--detach", "--wait", "--no-build", "--no-deps", "app", "scheduler")
_MIGRATION = """import time

from django.db import migrations


def run(apps, schema_editor):
    {body}


class Migration(migrations.Migration):
    dependencies = [("experiments", "{after}")]
    operations = [migrations.RunPython(run, migrations.RunPython.noop)]
"""
_VISITOR = """
import json, ssl, time, urllib.error, urllib.request
context = ssl._create_unverified_context()
while True:
    try:
        with urllib.request.urlopen("https://nginx:8443/health", timeout=5, context=context) as answer:
            code, version = answer.status, json.load(answer)["version"]
    except urllib.error.HTTPError as error:
        code, version = error.code, ""
    except Exception as error:
        code, version = 0, type(error).__name__
    print(json.dumps([time.time(), code, version]), flush=True)
    time.sleep(0.1)
"""


class Answer(NamedTuple):
    """An answer to the visitor, and when it came; code 0 where nobody answered."""

    at: float
    code: int
    version: str


class Installation:
    """A copy of the source with secrets, as an operator has it."""

    def __init__(self, folder: Path, also: list[str], most_seconds_away: float) -> None:
        self.folder, self.most_seconds_away = folder, most_seconds_away
        files = ["docker-compose.prod.yml", *also]
        self._compose = ["docker", "compose", "-p", _PROJECT, *(word for f in files for word in ("-f", f))]
        self.failures: list[str] = []

    def compose(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._compose, *words], cwd=self.folder, input=given, capture_output=True, text=True
        )

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

    def become(self, version: str) -> None:
        """Have the source of a version: its number, in the code and in .env."""
        file = self.folder / "bandit_project/__init__.py"
        file.write_text(re.sub(r'__version__ = ".*"', f'__version__ = "{version}"', file.read_text()))
        self.select(version)

    def select(self, version: str) -> None:
        """Choose the image that containers are made of."""
        (self.folder / ".env").write_text(
            f"ALLOWED_HOSTS=localhost,nginx\nVERSION={version}\nHTTP_PORT=18080\nHTTPS_PORT=18443\n"
        )

    def add_migration(self, name: str, body: str) -> None:
        folder = self.folder / "experiments/migrations"
        after = max(path.stem for path in folder.glob("[0-9]*.py"))
        (folder / f"{name}.py").write_text(_MIGRATION.format(body=body, after=after))


class Visitor:
    """Asks for /health through nginx from a container of its own, ten times a second."""

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
        found = [Answer(*json.loads(line)) for line in logged.splitlines()]
        return [answer for answer in found if answer.at >= since]


def seconds_away(answers: list[Answer]) -> float:
    """The longest time without an answer of 200."""
    good = [answer.at for answer in answers if answer.code == 200]
    return max((b - a for a, b in pairwise(good)), default=float("inf"))


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
    for words in (["build"], ["run", "--rm", "--no-deps", "--no-TTY", "migrate", "migrate"]):
        done = made.compose(*words)
        made.expect(f"{words[-1]} ends with 0", done.returncode == 0, done.stderr)
    migrated = time.time()
    done = made.compose(*_REPLACE)
    made.expect("up --wait ends with 0 after an upgrade", done.returncode == 0, done.stderr)
    answers = visitor.answers(began)
    before = [answer for answer in answers if answer.at < migrated]
    made.expect(
        "the old version serves until it is replaced", {a.code for a in before} == {200}, str(before[-3:])
    )
    made.expect("the new version serves", answers[-1][1:] == (200, "0.2.0"), str(answers[-1]))
    away, codes = seconds_away(answers), sorted({answer.code for answer in answers})
    made.expect(f"away for less than {made.most_seconds_away:g} s", away < made.most_seconds_away, str(away))
    made.expect("nginx says 503 meanwhile", not {502, 504} & set(codes), str(codes))
    print(f"  away {away:.1f} s; answers {codes}")


def fail(made: Installation, visitor: Visitor) -> None:
    made.become("0.3.0")
    made.add_migration("9002_fails", "raise RuntimeError('this migration fails')")
    began = time.time()
    built = made.compose("build")
    made.expect("the image builds", built.returncode == 0, built.stderr)
    done = made.once("migrate")
    made.expect("a migration that fails says so", "this migration fails" in done.stderr, done.stderr)
    made.expect("and ends with 1", done.returncode == 1)
    answers = visitor.answers(began)
    good = {(answer.code, answer.version) for answer in answers}
    made.expect("everything goes on as it was", good == {(200, "0.2.0")}, str(good))
    print(f"  {len(answers)} answers meanwhile, {sum(a.code != 200 for a in answers)} of them not 200")


def roll_back(made: Installation, visitor: Visitor) -> None:
    made.select("0.2.0")
    made.compose("stop", "app", "scheduler")
    plan = (made.folder / "migrations-before.txt").read_text()
    done = made.once("manage", "rollback_to", "-", given=plan)
    made.expect(
        "the roll-back takes back what was added", "Unapplying experiments.9001" in done.stdout, done.stderr
    )
    made.select("0.1.0")
    done = made.compose(*_REPLACE)
    made.expect("up --wait ends with 0 after a roll-back", done.returncode == 0, done.stderr)
    last = visitor.answers(0)[-1]
    made.expect("the old version serves", last[1:] == (200, "0.1.0"), str(last))


def swap_addresses(made: Installation, visitor: Visitor) -> None:
    made.compose("stop", "app", "scheduler")
    for service in ("scheduler", "app"):
        made.compose("start", service)
    began = time.time()
    while time.time() < began + 60 and visitor.answers(began)[-1].code != 200:
        pass
    last = visitor.answers(began)[-1]
    made.expect("nginx finds the new address by itself", last.code == 200, str(last))


_STEPS: tuple[tuple[str, Callable[[Installation, Visitor], None]], ...] = (
    ("upgrade, with a migration of 20 s", upgrade),
    ("upgrade whose migration fails", fail),
    ("roll-back with the service down", roll_back),
    ("app and scheduler with swapped addresses", swap_addresses),
)


def timed(
    name: str, step: Callable[[Installation, Visitor], None], made: Installation, visitor: Visitor
) -> None:
    began = time.monotonic()
    step(made, visitor)
    print(f"{name}: {time.monotonic() - began:.1f} s", flush=True)


def run(made: Installation) -> int:
    visitor = Visitor()
    made.prepare()
    made.become("0.1.0")
    try:
        timed("install: build, start, healthy", install, made, visitor)
        with visitor.asking("bandit:0.1.0"):
            time.sleep(3)
            for name, step in _STEPS:
                timed(name, step, made, visitor)
    finally:
        made.compose("down", "--volumes", "--timeout", "5")
    print("\n".join(f"NOT SO: {failure}" for failure in made.failures) or "All as promised.")
    return bool(made.failures)


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Run the production compose file, and time what visitors notice."
    )
    parser.add_argument("--folder", type=Path, help="an empty folder for the copy of the source")
    parser.add_argument("--also", action="append", default=[], help="another compose file on top")
    parser.add_argument("--most-seconds-away", type=float, default=10.0, help="in an upgrade (default: 10)")
    options = parser.parse_args()
    if subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        print("docker with compose is needed, and an engine that answers.", file=sys.stderr)
        return 2
    print(f"{machine()}; load before: {os.getloadavg()[0]:.1f}", flush=True)
    if options.folder:
        return run(Installation(options.folder, options.also, options.most_seconds_away))
    with tempfile.TemporaryDirectory(prefix="bandit-operations-") as folder:
        return run(Installation(Path(folder), options.also, options.most_seconds_away))


if __name__ == "__main__":
    sys.exit(main())
