"""Run the resilience tests in full; ./dev test runs a small part of them.

    ./dev bench resilience            # all of it
    ./dev bench resilience -k soak    # one of it; options are pytest's

They try faults, load and bad input: tests/resilience with RESILIENCE=full, one after the other, each of which prints
its figures. Then, on SQLite and on PostgreSQL and in a process for each core, every call is raced by another client at
each statement, and every name gets every odd value.
"""

import os
import subprocess
import sys
import time

from benchmarks.machine import machine

# Tests elsewhere of which ./dev test runs a part.
IN_FULL = ("tests/test_interleaving.py", "tests/security/test_odd_values.py")
_NONE_CHOSEN = 5  # pytest's code


def main() -> int:
    print(machine(), flush=True)
    environment = {**os.environ, "RESILIENCE": "full"}
    pytest = [sys.executable, "-m", "pytest", "-v", *sys.argv[1:]]
    side_by_side = [*pytest, "-n", str(os.cpu_count() or 1), "--dist", "worksteal", *IN_FULL]
    commands = (
        [*pytest, "-n", "0", "tests/resilience"],
        side_by_side,
        [sys.executable, "-m", "tests.postgresql", *side_by_side],
    )
    return max([_timed(command, environment) for command in commands])


def _timed(command: list[str], environment: dict[str, str]) -> int:
    started = time.monotonic()
    status = _status(subprocess.call(command, env=environment))
    print(f"took {(time.monotonic() - started) / 60:.0f} minutes", flush=True)
    return status


def _status(code: int) -> int:
    """No failure where ``-k`` chose none of the tests."""
    return 0 if code == _NONE_CHOSEN else abs(code)


if __name__ == "__main__":
    sys.exit(main())
