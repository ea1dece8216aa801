"""Run the resilience tests in full; ./dev test runs a small part of them.

    ./dev bench resilience            # all of it, about an hour
    ./dev bench resilience -k soak    # one of it; options are pytest's

They try faults, load and bad input: tests/resilience with RESILIENCE=full. Each prints its figures.
"""

import os
import subprocess
import sys

from benchmarks.machine import machine


def main() -> int:
    print(machine(), flush=True)
    command = [sys.executable, "-m", "pytest", "-n", "0", "-v", "tests/resilience", *sys.argv[1:]]
    return subprocess.call(command, env={**os.environ, "RESILIENCE": "full"})


if __name__ == "__main__":
    sys.exit(main())
