"""Run the tests on SQLite and on PostgreSQL beside each other: python -m tests.halves CORES [ARGUMENT OF PYTEST ...].

One half computes while the other waits. What the second prints is shown when the first has ended, so that the two can
be read. Ctrl-C stops both.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from tests.compiled import compile_all, modules

# A test that ends its process fails and the run ends: a new process would get the same tests, and hang or end again.
_PYTEST = (sys.executable, "-m", "pytest", "--dist", "loadgroup", "--max-worker-restart", "0")


class Half(NamedTuple):
    """A command, and the line before what it prints."""

    title: str
    command: Sequence[str]
    environment: dict[str, str]


def on_sqlite(cores: int, arguments: Sequence[str]) -> Half:
    """All tests, in a process for each core."""
    url = f"sqlite:///{Path.cwd() / 'bandit.sqlite3'}"
    return Half("Tests on SQLite", [*_PYTEST, "-n", str(cores), *arguments], {"DATABASE_URL": url})


def on_postgresql(cores: int, arguments: Sequence[str]) -> Half:
    """The tests that say something of a database, in half as many processes: they compute while the others wait.

    More of them would wait for each other, and each reads all tests for itself.
    """
    chosen = ("-n", str(max(1, cores // 2)), "-m", "not database_free", *arguments)
    return Half("Tests on PostgreSQL", [sys.executable, "-m", "tests.postgresql", *_PYTEST, *chosen], {})


def run(first: Half, second: Half) -> int:
    """Run both to their end; the code of the first that failed, or 0, or that of Ctrl-C."""
    # Behind a shell's & Ctrl-C is ignored, and the halves would ignore it, too. nohup ignores SIGHUP, which is meant.
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _stop)
    try:
        return _run_in_turn(first, second)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def _run_in_turn(first: Half, second: Half) -> int:
    with tempfile.NamedTemporaryFile() as kept, open(kept.name, "rb") as written:
        with _started(second, stdout=kept, stderr=kept) as behind, _started(first) as ahead:
            _say(first.title)
            code = ahead.wait()
            _say(second.title)
            while behind.poll() is None:
                _show(written)
                time.sleep(0.5)
        _show(written)
    return code or behind.returncode


@contextmanager
def _started(half: Half, **files: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The half's process, with all that it starts in a group of its own: Ctrl-C reaches it from here, and once."""
    environment = os.environ | half.environment
    process = subprocess.Popen(half.command, env=environment, start_new_session=True, **files)
    try:
        yield process
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
        process.wait()


def _say(title: str) -> None:
    print(f"== {title} ==", file=sys.stderr, flush=True)


def _show(written: IO[bytes]) -> None:
    sys.stdout.buffer.write(written.read())
    sys.stdout.buffer.flush()


def main() -> int:
    cores, arguments = int(sys.argv[1]), sys.argv[2:]
    compile_all(modules(), cores)
    return run(on_sqlite(cores, arguments), on_postgresql(cores, arguments))


if __name__ == "__main__":
    sys.exit(main())
