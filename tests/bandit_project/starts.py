"""Starts Python with an environment of the test's choice, as a server or a command does, many times at little cost.

Most of a start is loading libraries. One process has loaded them, and nothing that reads the environment; each start
is a fork of it. The fork has its own environment, settings and modules of the project.
"""

import atexit
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from functools import cache
from pathlib import Path
from typing import IO, NoReturn

ROOT = Path(__file__).resolve().parents[2]
# Each can be imported before there are settings, and brings many others.
_LIBRARIES = (
    "django.contrib.postgres.fields",
    "django.core.management",
    "django.core.wsgi",
    "django.test",
    "django.views.debug",
    "environ",
    "jsonschema",
    "markdown",
    "numpy",
    "orjson",
    "prometheus_client",
    "psycopg",
    "requests",
    "rest_framework.compat",
    "rest_framework.fields",
    "structlog",
)
# A migration of an empty database works for five of them; on a busy machine it waits for its turn as well.
_SECONDS = 600
_MANAGE = "from django.core.management import execute_from_command_line; execute_from_command_line({argv!r})"


def manage(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Runs a command of manage.py in a new process with these environment variables; it must succeed."""
    done = start(_MANAGE.format(argv=["manage.py", *arguments]), **variables)
    assert done.returncode == 0, done.stderr
    return done


def start(command: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Runs Python code in a new process that has these environment variables and no others but PATH."""
    environment = {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "bandit_project.settings",
        **variables,
    }
    server = _server()
    assert server.stdin
    assert server.stdout
    server.stdin.write(json.dumps([command, environment]) + "\n")
    server.stdin.flush()
    code, output, errors = json.loads(server.stdout.readline())
    return subprocess.CompletedProcess(command, code, output, errors)


@cache
def _server() -> "subprocess.Popen[str]":
    # numpy starts its threads when it is loaded, and a fork has none of them.
    bare = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.bandit_project.starts"]
    server = subprocess.Popen(
        command, cwd=ROOT, env=bare, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(_stop, server)
    return server


def _stop(server: "subprocess.Popen[str]") -> None:
    with server:
        server.terminate()


def _serve() -> None:
    for name in _LIBRARIES:
        importlib.import_module(name)
    for line in sys.stdin:
        print(json.dumps(_start_fork(*json.loads(line))), flush=True)


def _start_fork(command: str, environment: dict[str, str]) -> tuple[int, str, str]:
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        pid = os.fork()
        if not pid:
            _run(command, environment, output, errors)
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status), _text(output), _text(errors)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def _run(command: str, environment: dict[str, str], output: IO[bytes], errors: IO[bytes]) -> NoReturn:
    """Ends as the interpreter would: with a traceback and 1 for an error, with the code of an exit for an exit."""
    os.dup2(output.fileno(), 1)
    os.dup2(errors.fileno(), 2)
    os.environ.clear()
    os.environ.update(environment)
    signal.alarm(_SECONDS)
    code: object = 0
    try:
        exec(command, {"__name__": "__main__"})  # noqa: S102  (the test's own)
    except SystemExit as leaving:
        code = leaving.code or 0
        if not isinstance(code, int):
            print(code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


if __name__ == "__main__":
    _serve()
