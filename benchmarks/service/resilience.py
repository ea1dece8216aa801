"""Run the resilience tests in full; ./dev test runs a small part of them.

    ./dev bench resilience            # all of it, about an hour
    ./dev bench resilience -k soak    # one of it; options are pytest's

They try faults, load and bad input: tests/resilience with RESILIENCE=full, each of which prints its figures. Then, on
SQLite and on PostgreSQL, every call is raced by another client at each statement, and every name gets every odd value.
"""

import os
import subprocess
import sys

from benchmarks.machine import machine

# Tests elsewhere of which ./dev test runs a part.
IN_FULL = ("tests/test_interleaving.py", "tests/security/test_odd_values.py")
_NONE_CHOSEN = 5  # pytest's code


def main() -> int:
    print(machine(), flush=True)
    environment = {**os.environ, "RESILIENCE": "full"}
    pytest = [sys.executable, "-m", "pytest", "-n", "0", "-v", *sys.argv[1:]]
    on_postgresql = [sys.executable, "-m", "tests.postgresql"]
    commands = ([*pytest, "tests/resilience", *IN_FULL], [*on_postgresql, *pytest, *IN_FULL])
    return max(_status(subprocess.call(command, env=environment)) for command in commands)


def _status(code: int) -> int:
    """No failure where ``-k`` chose none of the tests."""
    return 0 if code == _NONE_CHOSEN else abs(code)


if __name__ == "__main__":
    sys.exit(main())
