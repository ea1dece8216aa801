"""Start Python programs as forks of a process that has loaded the libraries: at a third of an interpreter's cost."""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]
_STAND_IN = ROOT / "tests/processes/stand_in.py"
_START_SECONDS = 600


class ForkServer:
    """A process that forks programs for those who connect to its address. ``prefix`` comes before its command.

    It loads ``libraries`` besides those that all programs use, and of our code that in ``root``.
    """

    def __init__(self, prefix: Sequence[str], libraries: Sequence[str], root: Path) -> None:
        # A socket's path has room for about a hundred characters: the folder must have a short name.
        self.folder = Path(tempfile.mkdtemp(prefix="fork", dir="/tmp"))
        self.address = str(self.folder / "socket")
        # numpy starts its threads when it is loaded, and a fork has none of them.
        bare = {"PATH": os.environ["PATH"], "OPENBLAS_NUM_THREADS": "1"}
        program = str(ROOT / "tests/processes/server.py")
        self._process = subprocess.Popen(
            [*prefix, sys.executable, program, self.address, str(root), *libraries],
            env=bare,
            stdin=subprocess.PIPE,
        )

    def stop(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def connect(self) -> socket.socket:
        """Wait until the process listens."""
        client, deadline = socket.socket(socket.AF_UNIX), time.monotonic() + _START_SECONDS
        while client.connect_ex(self.address):
            assert self._process.poll() is None, "the process that forks has ended"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return client


@cache
def interpreter(*prefix: str, root: Path = ROOT) -> Path:
    """A folder with a program ``python`` that has what it is to run forked by a process which runs after ``prefix``.

    Most of what it is to run is in the folder ``root``.
    """
    server = fork_server(*prefix, root=root)
    server.connect().close()
    program = server.folder / "python"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -ISE {_STAND_IN} {server.address} "$@"\n')
    program.chmod(0o755)
    return server.folder


@cache
def fork_server(*prefix: str, libraries: Sequence[str] = (), root: Path = ROOT) -> ForkServer:
    """Return the one of this process for ``prefix``, ``libraries``, a tuple, and ``root``."""
    server = ForkServer(prefix, libraries, root)
    atexit.register(server.stop)
    return server


class Process:
    """A Python program, with the methods of ``subprocess.Popen`` that tests use."""

    def __init__(
        self, arguments: Sequence[str], *, env: dict[str, str], cwd: Path = ROOT, libraries: Sequence[str] = (),
        stdout: IO[Any] | None = None, stderr: IO[Any] | None = None, start_new_session: bool = False,
    ) -> None:  # fmt: skip
        """Start what follows the interpreter's name on a command line. ``communicate`` has what goes to no file."""
        self.args, self.returncode = arguments, None
        self._written: list[str] = []
        self._kept = [tempfile.TemporaryFile() for file in (stdout, stderr) if file is None]  # noqa: SIM115  (closed at the end)
        kept = iter(self._kept)
        # A server of their own: other programs must not find loaded what they did not ask for.
        self._socket = fork_server(libraries=tuple(libraries)).connect()
        self._lines = self._socket.makefile()
        asked = {
            "arguments": arguments, "environment": env, "folder": str(cwd), "session": start_new_session,
        }  # fmt: skip
        with ExitStack() as stack:
            nothing = stack.enter_context(open(os.devnull))
            files = [file.fileno() for file in (nothing, stdout or next(kept), stderr or next(kept))]
            socket.send_fds(self._socket, [b" "], files)
        self._socket.sendall(json.dumps(asked).encode() + b"\n")
        self.pid = int(self._lines.readline())

    returncode: int | None

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._socket], [], [], 0)[0]:
            self._end()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._socket], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(list(self.args), timeout or 0)
            self._end()
        assert self.returncode is not None
        return self.returncode

    def _end(self) -> None:
        self.returncode = int(self._lines.readline())
        self._lines.close()
        self._socket.close()
        self._written = [_text(file) for file in self._kept]

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Return the text of its output and of its errors, up to its end, where neither went to a file."""
        self.wait(timeout)
        output, errors = self._written
        return output, errors

    def __enter__(self) -> "Process":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wait()


def _text(file: IO[bytes]) -> str:
    with file:
        file.seek(0)
        return file.read().decode()
