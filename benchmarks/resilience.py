"""Does the service survive what ./dev test only tries a little of?

    ./dev bench resilience            # all of it, about an hour
    ./dev bench resilience -k soak    # one of it; options are pytest's

Faults, load and bad input in full: tests/resilience with RESILIENCE=full. Prints what each test measured.
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
