"""Measure what calls and the daily sweep cost as experiments become many.

Experiments of 4 variants with 60 days of data and 60 dates of decisions, in production's settings, on a PostgreSQL of
its own. The service runs one experiment through its days, the others are copies of it; the last decision of each is its
own. Calls go to the WSGI application in this process, with a key: printed are the CPU of this process and of PostgreSQL
for each. The sweep is `manage.py allocate --all`, in a process of its own.

    ./dev bench scale                       # 1,000 experiments
    ./dev bench scale --experiments 10000   # some minutes, 3 GB of disk
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
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, NamedTuple
from wsgiref.util import setup_testing_defaults

import psycopg

from benchmarks.machine import machine
from benchmarks.service.cpu import cpu_seconds
from benchmarks.service.filling import STRIDE, fill, prepare
from tests.postgresql import postgresql

if TYPE_CHECKING:
    from django.test import Client

VARIANTS, DAYS = ("control", "b", "c", "d"), 60
# More than a worker once remembered.
_IN_TURN = 2300
_TIMES = 200
Work = Iterable[Callable[[], object]]


class Cost(NamedTuple):
    """CPU of this process and of PostgreSQL, and wall time: seconds in all."""

    client: float
    database: float
    wall: float


def main() -> None:
    options = _options()
    if options.sweep:
        _sweep_here()
        return
    print(machine())
    with postgresql() as url:
        start = time.perf_counter()
        prepare(url)
        with _unsafe_but_fast(url):
            fill(options.experiments, days=DAYS, variants=VARIANTS)
            _own_last_decisions()
        print(f"{options.experiments:,} experiments, {len(VARIANTS)} variants, {DAYS} days;", end=" ")
        print(f"filled in {time.perf_counter() - start:.0f} s; load {os.getloadavg()[0]:.1f}")
        _print_sizes()
        folder = url.partition("host=")[2]
        _print_sweeps(folder)
        _print_bytes_of_today()
        _print_calls(folder)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench scale", description=__doc__)
    parser.add_argument("--experiments", type=int, default=1000)
    parser.add_argument("--sweep", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


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


def _own_last_decisions() -> None:
    """Take away today's decisions, and write into each copy's last one the ids of its own variants.

    The next decision rests on the one before: with another's variants it would price everything again.
    """
    from django.db import connection

    from allocation.models import Allocation
    from allocation.packing import pack
    from experiments.selectors import today

    Allocation.objects.filter(target_date=today()).delete()
    last = Allocation.objects.order_by("target_date").last()
    assert last is not None
    first, recorded = last.experiment_id, last.recorded_inputs
    where = Allocation.objects.filter(target_date=last.target_date).values_list("pk", "experiment_id")
    rows = [(pack(_shifted(recorded, experiment - first)), pk) for pk, experiment in where]
    with connection.cursor() as cursor:
        cursor.executemany("UPDATE allocation_allocation SET packed_inputs = %s WHERE id = %s", rows)
        cursor.execute("VACUUM ANALYZE")


def _shifted(recorded: Mapping[str, Any], copies: int) -> dict[str, Any]:
    by = copies * STRIDE["variant"]
    previous = {str(int(pk) + by): share for pk, share in recorded["previous"].items()}
    variants = [{**variant, "id": variant["id"] + by} for variant in recorded["variants"]]
    return {**recorded, "previous": previous, "variants": variants}


def _print_sizes() -> None:
    """Print bytes a row, heap and TOAST beside indexes."""
    print(f"\n{'table':36}{'rows':>12}{'bytes a row':>13}{'of indexes':>12}")
    for table in (
        "experiments_dailymetric", "allocation_allocation", "allocation_allocationshare",
    ):  # fmt: skip
        rows, heap, indexes = _row(
            f"SELECT count(*), pg_table_size('{table}'), pg_indexes_size('{table}') FROM {table}"  # noqa: S608
        )
        print(f"{table:36}{rows:12,}{heap / rows:13,.0f}{indexes / rows:12,.0f}")
    count, size = _row(
        "SELECT (SELECT count(*) FROM allocation_allocation), pg_total_relation_size('allocation_allocation') "
        "+ pg_total_relation_size('allocation_allocationshare')"
    )
    print(f"a decision with its shares and indexes: {size / count:,.0f} bytes")


def _print_bytes_of_today() -> None:
    inputs, row = _row(
        "SELECT avg(pg_column_size(packed_inputs)), avg(pg_column_size(a.*)) FROM allocation_allocation a "
        "WHERE target_date = (SELECT max(target_date) FROM allocation_allocation)"
    )
    print(f"\ntoday's decisions: {row:,.0f} bytes a row, of them {inputs:,.0f} inputs")


def _row(sql: str) -> Any:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()


def _print_calls(folder: str) -> None:
    from django.contrib.auth import get_user_model
    from django.test import Client

    from experiments.models import Experiment

    ids = list(Experiment.objects.order_by("pk").values_list("pk", flat=True))
    caller, browser = Caller(), Client()
    browser.force_login(get_user_model().objects.create_superuser("bench"))
    some = ids[:: max(1, len(ids) // 50)][:50]
    many = ids[:_IN_TURN]
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    print(f"\n{'milliseconds a call':44}{'CPU':>8}{'PostgreSQL':>12}{'wall':>8}")
    post = [caller.post(pk, today, n) for n, pk in enumerate(islice(cycle(some), _TIMES))]
    _print(folder, "POST /events, 4 variants", post)
    _print(folder, "GET /allocation, a miss", [caller.get(pk) for pk in some])
    _print(
        folder, "GET /allocation, a hit, 50 in turn", [caller.get(pk) for pk in islice(cycle(some), _TIMES)]
    )
    for get in map(caller.get, many):
        get()
    _print(folder, f"GET /allocation, a hit, {len(many):,} in turn", [caller.get(pk) for pk in many])
    _print_page(folder, browser, "/dashboard/")
    _print_page(folder, browser, "/dashboard/?order=traffic")


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


def _print(folder: str, name: str, work: Work) -> None:
    calls = list(work)
    cost = _cost(folder, calls)
    each = [1000 * seconds / len(calls) for seconds in cost]
    print(f"{name:44}{each[0]:8.2f}{each[1]:12.2f}{each[2]:8.2f}", flush=True)


def _cost(folder: str, work: Work) -> Cost:
    with cpu_seconds([folder.encode()]) as used:
        wall, client = time.perf_counter(), time.process_time()
        for call in work:
            call()
        wall, client = time.perf_counter() - wall, time.process_time() - client
    return Cost(client, used[0], wall)


def _print_page(folder: str, browser: "Client", page: str) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    browser.get(page, secure=True)
    with CaptureQueriesContext(connection) as queries:
        browser.get(page, secure=True)
        number = len(queries)  # the next request empties the log
    _print(folder, f"{page}, {number} queries", [lambda: browser.get(page, secure=True)] * 7)


def _print_sweeps(folder: str) -> None:
    print(
        f"\n{'allocate --all, seconds':32}{'CPU':>8}{'PostgreSQL':>12}{'wall':>8}{'queries':>9}{'peak, MB':>10}"
    )
    for name in ("new data", "nothing new"):
        command = [sys.executable, "-m", "benchmarks.service.scale", "--sweep"]
        with cpu_seconds([folder.encode()]) as used:
            start = time.perf_counter()
            printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            wall = time.perf_counter() - start
        found = json.loads(printed.splitlines()[-1])
        queries, peak = found["queries"], found["peak"]
        print(f"{name:32}{found['cpu']:8.1f}{used[0]:12.1f}{wall:8.1f}{queries:9,}{peak:10.0f}", flush=True)


def _sweep_here() -> None:
    """Run the command and print what it took, as JSON."""
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
        call_command("allocate", "--all", stdout=nowhere)
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = used.ru_utime + used.ru_stime
    print(json.dumps({"cpu": cpu, "queries": queries, "peak": used.ru_maxrss / 1024}))


if __name__ == "__main__":
    main()
