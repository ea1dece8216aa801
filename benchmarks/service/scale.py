"""Measure what calls and the daily sweep cost as experiments become many, beside the goals.

50 experiments of 4 variants with 60 days of data and 60 dates of decisions, then as many as asked for, in production's
settings, on PostgreSQL databases of their own. The service runs one experiment through its days; the others are copies
of its rows, the last decision of each with its own ids. Calls go to the WSGI application in one process, with a key:
printed are the CPU of that process and of PostgreSQL for each; those to the two databases are made in turn. A sweep is
`manage.py allocate --all` in a process of its own.

    ./dev bench scale                        # 1,000 experiments
    ./dev bench scale --experiments 10000    # some minutes, 5 GB of disk
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg

from benchmarks.machine import machine
from benchmarks.service.cpu import cpu_seconds
from benchmarks.service.filling import (
    VARIANTS_APART,
    copy_decisions,
    copy_experiments,
    live_through,
    prepare,
    settle,
)
from benchmarks.service.scale_calls import (
    CALLS,
    ROUNDS,
    Cost,
    Rounds,
    cost_of,
    middle,
    print_cost,
    print_head,
    times_of,
)
from benchmarks.service.scale_tables import print_retention, print_scans, print_sizes, row_of, scans
from tests.postgresql import postgresql

if TYPE_CHECKING:
    from django.test import Client

VARIANTS, DAYS = ("control", "b", "c", "d"), 60
# More than a worker once remembered.
_IN_TURN = 2300
_LOOKS = 15
_FEW = 50
# What a process prints once it waits for calls to be asked for.
_READY = "ready for calls\n"


class Goal(NamedTuple):
    words: str
    name: str
    most: float


# Of the issue: milliseconds, seconds, MB and bytes; calls as times of those at 50 experiments.
GOALS = (
    Goal("POST /events, times of 50", "post", 1.3),
    Goal("GET /allocation, a hit, times of 50", "hit", 1.3),
    Goal("GET /allocation, a miss, times of 50", "miss", 1.5),
    Goal("the list with new totals, CPU of both, ms", "list", 200),
    Goal("allocate --all, wall, s", "sweep", 40),
    Goal("allocate --all, peak, MB", "peak", 200),
    Goal("allocate --all, queries an experiment", "queries", 1),
    Goal("a decision, bytes", "bytes", 1800),
)


def main() -> None:
    options = _options()
    if options.sweep:
        _sweep_here(options.jobs)
        return
    if options.database:
        print(json.dumps(_measure(options.database, options.experiments)))
        return
    print(machine())
    with postgresql() as url:
        measured = [Measured(url, number) for number in dict.fromkeys((_FEW, options.experiments))]
        for one in measured:
            one.wait_until_ready()
        rounds = [[one.round() for one in measured] for _round in range(ROUNDS)]
        found = [one.end() for one in measured]
    calls = [{name: [costs[place][name] for costs in rounds] for name in CALLS} for place in (0, -1)]
    _print_calls(measured, calls)
    times = {name: times_of(calls[1][name], calls[0][name]) for name in CALLS}
    _print_goals({**found[-1], **times})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench scale", description=__doc__)
    parser.add_argument("--experiments", type=int, default=1000)
    for name in ("--database", "--sweep", "--jobs"):
        parser.add_argument(name, type=int if name == "--jobs" else str, help=argparse.SUPPRESS)
    return parser.parse_args()


class Measured:
    """A process with a database of its own, which prints what it finds and measures a round of calls when asked to."""

    def __init__(self, url: str, experiments: int) -> None:
        self.experiments = experiments
        name = f"scale_{experiments}"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        own = url.replace("/postgres?", f"/{name}?")
        self._command = [sys.executable, "-m", "benchmarks.service.scale", "--database", own]
        self._command += ["--experiments", str(experiments)]

    def wait_until_ready(self) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, text=True)
        while (line := self._line()) != _READY:
            print(line, end="", flush=True)

    def round(self) -> dict[str, Cost]:
        assert self._process.stdin is not None
        self._process.stdin.write("round\n")
        self._process.stdin.flush()
        return {name: Cost(*cost) for name, cost in json.loads(self._line()).items()}

    def end(self) -> dict[str, float]:
        """Have it measure what is left; return what it found, which is its last line."""
        text, _errors = self._process.communicate()
        *printed, last = text.splitlines()
        print(*printed, sep="\n", flush=True)
        found: dict[str, float] = json.loads(last)
        return found

    def _line(self) -> str:
        assert self._process.stdout is not None
        line: str = self._process.stdout.readline()
        if not line:
            sys.exit(self._process.wait() or 1)
        return line


def _print_calls(measured: Sequence[Measured], calls: Sequence[Mapping[str, Sequence[Cost]]]) -> None:
    """Print the middle one of the rounds at each number of experiments."""
    print_head()
    for one, rounds in zip(measured, calls, strict=False):
        for name, words in CALLS.items():
            print_cost(f"{words}; {one.experiments:,}", middle(rounds[name]))


def _measure(url: str, experiments: int) -> dict[str, float]:
    start = time.perf_counter()
    prepare(url)
    with _unsafe_but_fast(url):
        _fill(experiments)
    print(f"\n{experiments:,} experiments, {len(VARIANTS)} variants, {DAYS} days;", end=" ")
    print(f"filled in {time.perf_counter() - start:.0f} s; load {os.getloadavg()[0]:.1f}")
    folder = url.partition("host=")[2]
    found = {"bytes": print_sizes()}
    before = scans()
    found |= _print_sweeps(folder)
    found |= _print_looks(folder, _rounds(folder))
    print_scans(before)
    print_retention()
    return found


def _rounds(folder: str) -> Rounds:
    """Measure a round of calls for each line that comes."""
    from django.db import connection

    with connection.cursor() as cursor:
        # or the server does so meanwhile, after the sweeps
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")
    rounds = Rounds(folder, _ids(), VARIANTS)
    print(_READY, end="", flush=True)
    for _line in sys.stdin:
        print(json.dumps(rounds.run()), flush=True)
    return rounds


def _ids() -> list[int]:
    from experiments.models import Experiment

    return list(Experiment.objects.order_by("pk").values_list("pk", flat=True))


def _print_goals(found: Mapping[str, float]) -> None:
    print(f"\n{'goal':44}{'at most':>10}{'reached':>10}")
    for goal in GOALS:
        missed = "" if found[goal.name] <= goal.most else "  missed"
        print(f"{goal.words:44}{goal.most:10,.1f}{found[goal.name]:10,.2f}{missed}")


@contextmanager
def _unsafe_but_fast(url: str) -> Iterator[None]:
    """Fill without waiting for the disk; what is measured afterwards does wait."""
    settings = ("fsync", "full_page_writes")
    for statement in ("SET {} = off", "RESET {}"):
        with psycopg.connect(url, autocommit=True) as connection:
            for name in settings:
                connection.execute(f"ALTER SYSTEM {statement.format(name)}")
            connection.execute("SELECT pg_reload_conf()")
            connection.execute("CHECKPOINT")
        if statement.startswith("SET"):
            yield


def _fill(experiments: int) -> None:
    from django.db import connection

    from allocation.models import Allocation
    from experiments.selectors import today

    live_through(DAYS, VARIANTS)
    Allocation.objects.filter(target_date=today()).delete()
    with connection.cursor() as cursor:
        # copies of what is right are right: a million references need no look
        cursor.execute("SET session_replication_role = replica")
        _own_inputs(experiments - 1)
        copy_experiments(experiments - 1)
        copy_decisions(experiments - 1, packed_inputs=_OWN_INPUTS)
        cursor.execute("SET session_replication_role = DEFAULT")
        cursor.execute("DELETE FROM allocation_newestdecision")
        cursor.execute(import_module("allocation.migrations.0017_fill_newest_decisions").FILL)
        settle()
        cursor.execute("VACUUM ANALYZE")


_OWN_INPUTS = (
    "coalesce((SELECT own.packed FROM own WHERE own.decision = id AND own.n = copies.n), packed_inputs)"
)


def _own_inputs(copies: int) -> None:
    """Pack, for each copy, the inputs of the last decision with the ids of its own variants.

    The next decision rests on it: with another's variants it would price everything again.
    """
    from django.db import connection

    from allocation.models import Allocation
    from allocation.packing import pack

    last = Allocation.objects.order_by("target_date").last()
    assert last is not None
    recorded = last.recorded_inputs
    rows = [(last.pk, n, pack(_shifted(recorded, n))) for n in range(1, copies + 1)]
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE own (decision bigint, n int, packed bytea, PRIMARY KEY (n))")
        cursor.executemany("INSERT INTO own VALUES (%s, %s, %s)", rows)
        cursor.execute("ANALYZE own")


def _shifted(recorded: Mapping[str, Any], copies: int) -> dict[str, Any]:
    by = copies * VARIANTS_APART
    previous = {str(int(pk) + by): share for pk, share in recorded["previous"].items()}
    variants = [{**variant, "id": variant["id"] + by} for variant in recorded["variants"]]
    return {**recorded, "previous": previous, "variants": variants}


def _print_looks(folder: str, rounds: Rounds) -> dict[str, float]:
    """Print what it costs to ask for so many experiments that a worker once forgot them, and the dashboard's list."""
    from django.contrib.auth import get_user_model
    from django.test import Client

    browser, many = Client(), [rounds.get(pk) for pk in _ids()[:_IN_TURN]]
    browser.force_login(get_user_model().objects.create_superuser("bench"))
    print_head()
    cost_of(folder, many)
    print_cost(f"GET /allocation, a hit, {len(many):,} in turn", cost_of(folder, many))
    found = _print_page(folder, browser, "/dashboard/")
    _print_page(folder, browser, "/dashboard/?order=traffic")
    return {"list": found}


def _print_page(folder: str, browser: "Client", page: str) -> float:
    """Print what a look costs; return the CPU of one that renews the totals."""
    from django.core.cache import cache
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def look_with_new_totals() -> None:
        cache.clear()
        browser.get(page, secure=True)

    look_with_new_totals()  # which compiles the templates
    new = print_cost(f"{page}, new totals", cost_of(folder, [look_with_new_totals] * _LOOKS))
    with CaptureQueriesContext(connection) as queries:
        browser.get(page, secure=True)
        number = len(queries)  # the next request empties the log
    look = [lambda: browser.get(page, secure=True)] * _LOOKS
    print_cost(f"{page}, {number} queries", cost_of(folder, look))
    return new.cpu


def _print_sweeps(folder: str) -> dict[str, float]:
    """Sweep four times; return the cost of a day with new data of all, by one process."""
    print(
        f"\n{'allocate --all, seconds':36}{'CPU':>8}{'PostgreSQL':>12}{'wall':>8}{'queries':>9}{'peak, MB':>10}"
    )
    _print_sweep(folder, "the first, which reads whole histories")
    _print_sweep(folder, "nothing new")
    _new_data()
    found = _print_sweep(folder, "new data of all")
    _new_data()
    _print_sweep(folder, "new data of all, --jobs 2", jobs=2)
    (experiments,) = row_of("SELECT count(*) FROM experiments_experiment")
    return {"sweep": found["wall"], "peak": found["peak"], "queries": found["queries"] / experiments}


def _new_data() -> None:
    """Write today's counts of every experiment, as POST /events does."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO experiments_dailymetric (variant_id, date, impressions, clicks, conversions, updated_at) "
            "SELECT id, current_date, 1000, 50, 5, now() FROM experiments_variant "
            "ON CONFLICT (variant_id, date) DO UPDATE SET impressions = experiments_dailymetric.impressions + 1000"
        )
        cursor.execute(
            "UPDATE experiments_experiment SET data_version = data_version + 1, changed_from = current_date"
        )


def _print_sweep(folder: str, name: str, jobs: int = 1) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.service.scale", "--sweep", "all", "--jobs", str(jobs)]
    with cpu_seconds([folder.encode()]) as used:
        start = time.perf_counter()
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        wall = time.perf_counter() - start
    found: dict[str, float] = json.loads(printed.splitlines()[-1])
    queries = f"{found['queries']:,}" if jobs == 1 else "-"
    print(
        f"{name:36}{found['cpu']:8.1f}{used[0]:12.1f}{wall:8.1f}{queries:>9}{found['peak']:10.0f}", flush=True
    )
    return {**found, "wall": wall}


def _sweep_here(jobs: int) -> None:
    """Run the command and print what it and its processes took, as JSON; the peak is that of the largest."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    queries = 0

    def count(execute: Callable[..., Any], *arguments: Any) -> Any:
        nonlocal queries
        queries += 1
        return execute(*arguments)

    with connection.execute_wrapper(count), open(os.devnull, "w") as nowhere:
        call_command("allocate", "--all", jobs=jobs, stdout=nowhere)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(one.ru_utime + one.ru_stime for one in used)
    peak = max(one.ru_maxrss for one in used) / 1024
    print(json.dumps({"cpu": cpu, "queries": queries, "peak": peak}))


if __name__ == "__main__":
    main()
