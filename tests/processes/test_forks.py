"""A fork has what a program of its own would have, and ends as one."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.bandit_project.starts import start
from tests.processes.forks import ROOT, Process, interpreter

pytestmark = pytest.mark.database_free

_SLEEP = "import time; print('up', flush=True); time.sleep(600)"


@pytest.mark.parametrize(
    ("code", "returned", "errors"),
    [
        ("print(1)", 0, ""),
        ("raise SystemExit(3)", 3, ""),
        ("raise SystemExit('no reason')", 1, "no reason\n"),
        ("import os; os.kill(os.getpid(), 9)", -9, ""),
    ],
)
def test_fork__ends__as_an_interpreter_does(code: str, returned: int, errors: str) -> None:
    done = start(code)

    assert (done.returncode, done.stderr) == (returned, errors)


def test_fork__error__is_a_traceback_and_1() -> None:
    done = start("1 / 0")

    assert done.returncode == 1
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_fork__has_its_own_environment_folder_and_arguments(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import os, sys; print(sys.argv, os.environ['X'], os.getcwd(), len(os.environ), sys.path[0])"
    )

    with Process(["program.py", "a", "b"], env={"X": "y"}, cwd=tmp_path) as program:
        said, _ = program.communicate()

    assert said == f"['program.py', 'a', 'b'] y {tmp_path} 1 {tmp_path}\n"


def test_fork__waited_for_too_long__runs_on_until_it_is_told() -> None:
    with Process(["-c", _SLEEP], env={}) as program:
        with pytest.raises(subprocess.TimeoutExpired):
            program.wait(timeout=0.01)
        assert program.poll() is None
        program.terminate()

    assert program.returncode == -15


def test_interpreter__passes_on_input_output_signals_and_the_end() -> None:
    environment = {"PATH": f"{interpreter()}:/usr/bin:/bin"}
    command = ["python", "-c", "import sys; print(sys.stdin.read()); sys.exit(4)"]

    done = subprocess.run(command, env=environment, input="in", capture_output=True, text=True)
    with subprocess.Popen(["python", "-c", _SLEEP], env=environment, stdout=subprocess.PIPE) as sleeper:
        assert sleeper.stdout
        sleeper.stdout.readline()
        sleeper.terminate()

    assert (done.stdout, done.returncode) == ("in\n", 4)
    assert sleeper.returncode == -15


_ENGINE = (
    "import sys; print('allocation.engine' in sys.modules); import allocation.engine as e; print(e.__file__)"
)


def test_fork__in_this_repository__finds_code_loaded_and_no_settings() -> None:
    done = start(f"{_ENGINE}; from django.conf import settings; print(settings.configured)")

    assert done.stdout == f"True\n{ROOT}/allocation/engine/__init__.py\nFalse\n"


def test_fork__in_another_folder__loads_the_code_that_is_there(tmp_path: Path) -> None:
    place = tmp_path / "allocation/engine/__init__.py"
    place.parent.mkdir(parents=True)
    place.write_text("")

    with Process(["-c", _ENGINE], env={}, cwd=tmp_path) as program:
        said, _ = program.communicate()

    assert said == f"False\n{place}\n"


def test_program__libraries_that_another_asked_for__are_not_loaded() -> None:
    show = ["-c", "import sys; print('wave' in sys.modules)"]
    environment = {"PATH": os.environ["PATH"]}

    with (
        Process(show, env=environment, libraries=("wave",)) as asking,
        Process(show, env=environment) as other,
    ):
        found = asking.communicate()[0], other.communicate()[0]

    assert found == ("True\n", "False\n")
