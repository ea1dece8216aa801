"""Measure the time and memory that a large CSV takes.

`manage.py import_events --create` on an invented file, into a PostgreSQL of its own.

    ./dev bench imports
    ./dev bench imports --rows 100000
    ./dev bench imports --repeated    # two rows of each day and variant, added up
"""

import argparse
import csv
import datetime as dt
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice, repeat
from pathlib import Path

from benchmarks.machine import machine
from tests.postgresql import postgresql

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENTS, VARIANTS = 200, ("control", "b", "c", "d")
COLUMNS = ("experiment", "date", "variant", "impressions", "clicks", "conversions")
TODAY = dt.datetime.now(tz=dt.UTC).date()


def main() -> None:
    parser = argparse.ArgumentParser(prog="./dev bench imports", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeated", action="store_true", help="Two rows of each day and variant.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, postgresql() as database:
        file = Path(folder, "metrics.csv")
        with file.open("w", newline="") as lines:
            csv.writer(lines).writerows([COLUMNS, *islice(_rows(2 if options.repeated else 1), options.rows)])
        seconds = _timed(database, file, *(["--repeated", "sum"] if options.repeated else []))
        print(machine())
        print(
            f"{options.rows:,} rows, {EXPERIMENTS} experiments, {file.stat().st_size / 2**20:.0f} MB of CSV"
        )
        # The largest child: the command itself. Kilobytes on Linux.
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"{seconds:.1f} s, {options.rows / seconds:,.0f} rows a second, {peak:.0f} MB at most")


def _rows(times: int) -> Iterator[tuple[object, ...]]:
    """Yield all variants of all experiments day by day, newest first, as a nightly export writes them, each so many
    times.
    """
    day = TODAY
    while True:
        for experiment in range(1, EXPERIMENTS + 1):
            for index, variant in enumerate(VARIANTS):
                row = experiment, day, variant, 1000 + experiment, 50 + index, 5
                yield from repeat(row, times)
        day -= dt.timedelta(days=1)


def _timed(database: str, file: Path, *choices: str) -> float:
    manage = [sys.executable, str(ROOT / "manage.py")]
    environment = {**os.environ, "DATABASE_URL": database, "DEBUG": "false", "SECRET_KEY": "benchmark-" * 6}
    environment |= {"ALLOWED_HOSTS": "127.0.0.1"}
    subprocess.run([*manage, "migrate", "--verbosity", "0"], env=environment, check=True)
    started = time.perf_counter()
    command = [*manage, "import_events", "--create", str(file), *choices]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
