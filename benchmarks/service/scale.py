"""Measure what calls and the daily sweep cost as experiments become many, beside the goals.

50 experiments of 4 variants with 60 days of data and 60 dates of decisions, then as many as asked for, in production's
settings, on PostgreSQL databases of their own. The service runs one experiment through its days; the others are copies
of its rows, the last decision of each with its own ids. Calls go to the WSGI application in one process, with a key:
printed are the CPU of that process and of PostgreSQL for each. A sweep is `manage.py allocate --all` in a process of
its own.

    ./dev bench scale                        # 1,000 experiments
    ./dev bench scale --experiments 10000    # some minutes, 5 GB of disk
"""

import argparse
import datetime as dt
import io
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, NamedTuple
from wsgiref.util import setup_testing_defaults

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
from benchmarks.service.scale_tables import print_retention, print_scans, print_sizes, row_of, scans
from tests.postgresql import postgresql

if TYPE_CHECKING:
    from django.test import Client

VARIANTS, DAYS = ("control", "b", "c", "d"), 60
# More than a worker once remembered.
_IN_TURN = 2300
# So many that PostgreSQL's part is far above the hundredth of a second in which the kernel counts it.
_TIMES, _ROUNDS = 1000, 5
_FEW = 50
Work = Iterable[Callable[[], object]]


class Goal(NamedTuple):
    words: str
    name: str
    most: float


class Cost(NamedTuple):
    """CPU of this process and of PostgreSQL, and wall time: seconds in all."""

    client: float
    database: float
    wall: float


# Of the issue: milliseconds, seconds, MB and bytes; calls as times of those at 50 experiments.
GOALS = (
    Goal("POST /events, times of 50", "post", 1.3),
    Goal("GET /allocation, a hit, times of 50", "hit", 1.3),
    Goal("GET /allocation, a miss, times of 50", "miss", 1.5),
    Goal("the list of the dashboard, CPU of both, ms", "list", 200),
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
        few = _measured_apart(url, _FEW)
        many = few if options.experiments == _FEW else _measured_apart(url, options.experiments)
    _print_goals(few, many)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench scale", description=__doc__)
    parser.add_argument("--experiments", type=int, default=1000)
    for name in ("--database", "--sweep", "--jobs"):
        parser.add_argument(name, type=int if name == "--jobs" else str, help=argparse.SUPPRESS)
    return parser.parse_args()


def _measured_apart(url: str, experiments: int) -> dict[str, float]:
    """Measure in a process of its own, which has a database of its own; print what it prints."""
    name = f"scale_{experiments}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    own = url.replace("/postgres?", f"/{name}?")
    command = [sys.executable, "-m", "benchmarks.service.scale", "--database", own]
    command += ["--experiments", str(experiments)]
    last = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        for line in running.stdout or ():
            print(last, end="", flush=True)
            last = line
    if running.returncode:
        sys.exit(running.returncode)
    found: dict[str, float] = json.loads(last)
    return found


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
    found |= _print_calls(folder)
    print_scans(before)
    print_retention()
    return found


def _print_goals(few: Mapping[str, float], many: Mapping[str, float]) -> None:
    print(f"\n{'goal':44}{'at most':>10}{'reached':>10}")
    for goal in GOALS:
        reached = many[goal.name] / few[goal.name] if "times of" in goal.words else many[goal.name]
        print(
            f"{goal.words:44}{goal.most:10,.1f}{reached:10,.2f}{'' if reached <= goal.most else '  missed'}"
        )


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


def _print_calls(folder: str) -> dict[str, float]:
    from django.contrib.auth import get_user_model
    from django.db import connection
    from django.test import Client

    from experiments.models import Experiment

    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")  # or the server does so meanwhile, after the sweeps
    ids = list(Experiment.objects.order_by("pk").values_list("pk", flat=True))
    caller, browser = Caller(), Client()
    browser.force_login(get_user_model().objects.create_superuser("bench"))
    some = ids[:: max(1, len(ids) // 50)][:50]
    many = ids[:_IN_TURN]
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    print(f"\n{'milliseconds a call':44}{'CPU':>8}{'PostgreSQL':>12}{'wall':>8}")
    post = [caller.post(pk, today, n) for n, pk in enumerate(islice(cycle(some), _TIMES))]
    found = {"post": _print_warm(folder, "POST /events, 4 variants", post)}
    found["miss"] = _print(folder, "GET /allocation, a miss", [caller.get(pk) for pk in some])
    hits = [caller.get(pk) for pk in islice(cycle(some), _TIMES)]
    found["hit"] = _print_warm(folder, "GET /allocation, a hit, 50 in turn", hits)
    _print_warm(folder, f"GET /allocation, a hit, {len(many):,} in turn", [caller.get(pk) for pk in many])
    found["list"] = _print_page(folder, browser, "/dashboard/")
    _print_page(folder, browser, "/dashboard/?order=traffic")
    return found


class Caller:
    """Calls the application as a server does, with a key of scope write."""

    def __init__(self) -> None:
        from bandit_project.administration.keys import create_key
        from bandit_project.models import Scope
        from bandit_project.wsgi import application

        _key, secret = create_key(name="bench", scope=Scope.WRITE, days=None, now=dt.datetime.now(tz=dt.UTC))
        self._application, self._authorization = application, f"Api-Key {secret}"

    def get(self, pk: int) -> Callable[[], object]:
        return lambda: self._call("GET", "/allocation", query=f"experiment_id={pk}")

    def post(self, pk: int, date: str, clicks: int) -> Callable[[], object]:
        variants = [{"variant_name": name, "impressions": 1000, "clicks": clicks} for name in VARIANTS]
        body = json.dumps({"experiment_id": pk, "date": date, "variants": variants}).encode()
        return lambda: self._call("POST", "/events", body=body)

    def _call(self, method: str, path: str, query: str = "", body: bytes = b"") -> None:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "HTTP_HOST": "testserver",
            "HTTP_AUTHORIZATION": self._authorization, "HTTP_X_FORWARDED_PROTO": "https",
            "wsgi.input": io.BytesIO(body), "wsgi.url_scheme": "https", "CONTENT_LENGTH": str(len(body)),
            "CONTENT_TYPE": "application/json", "REMOTE_ADDR": "127.0.0.1",
        }  # fmt: skip
        setup_testing_defaults(environ)
        status: list[str] = []
        answer = self._application(environ, lambda line, _headers, _error=None: status.append(line))
        text = b"".join(answer)
        getattr(answer, "close", lambda: None)()
        if not status[0].startswith("2"):
            sys.exit(f"{method} {path}?{query} answered {status[0]}: {text[:300]!r}")


def _print_warm(folder: str, name: str, work: Work) -> float:
    """Print the cost of each call once all have been made before: the median of some rounds."""
    calls = list(work)
    _cost(folder, calls)
    rounds = [_cost(folder, calls) for _ in range(_ROUNDS)]
    return _print_cost(
        name, sorted(rounds, key=lambda cost: cost.client + cost.database)[_ROUNDS // 2], len(calls)
    )


def _print(folder: str, name: str, work: Work) -> float:
    """Print the cost of each call; return its CPU, this process's and PostgreSQL's."""
    calls = list(work)
    return _print_cost(name, _cost(folder, calls), len(calls))


def _print_cost(name: str, cost: Cost, calls: int) -> float:
    each = [1000 * seconds / calls for seconds in cost]
    print(f"{name:44}{each[0]:8.2f}{each[1]:12.2f}{each[2]:8.2f}", flush=True)
    return each[0] + each[1]


def _cost(folder: str, work: Work) -> Cost:
    with cpu_seconds([folder.encode()]) as used:
        wall, client = time.perf_counter(), time.process_time()
        for call in work:
            call()
        wall, client = time.perf_counter() - wall, time.process_time() - client
    return Cost(client, used[0], wall)


def _print_page(folder: str, browser: "Client", page: str) -> float:
    from django.core.cache import cache
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def look_with_new_totals() -> None:
        cache.clear()
        browser.get(page, secure=True)

    look_with_new_totals()  # which compiles the templates
    _print(folder, f"{page}, new totals", [look_with_new_totals] * 7)
    with CaptureQueriesContext(connection) as queries:
        browser.get(page, secure=True)
        number = len(queries)  # the next request empties the log
    return _print(folder, f"{page}, {number} queries", [lambda: browser.get(page, secure=True)] * 7)


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
