"""Starts Python with an environment of the test's choice, as a server or a command does, many times at little cost."""

import os
import subprocess

from tests.processes.forks import Process

# A migration of an empty database works for five of them; on a busy machine it waits for its turn as well.
_SECONDS = 600


def manage(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Runs a command of manage.py in a new process with these environment variables; it must succeed."""
    done = _run(["manage.py", *arguments], variables)
    assert done.returncode == 0, done.stderr
    return done


def start(command: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Runs Python code in a new process that has these environment variables and no others but PATH."""
    return _run(["-c", command], variables)


def _run(arguments: list[str], variables: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    environment = {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "bandit_project.settings",
        **variables,
    }
    process = Process(arguments, env=environment)
    try:
        output, errors = process.communicate(timeout=_SECONDS)
    finally:
        process.kill()
    return subprocess.CompletedProcess(arguments, process.wait(), output, errors)
