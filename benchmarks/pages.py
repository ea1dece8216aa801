"""What does a page of the dashboard cost where there is much to show?

1,000 experiments of 5 variants with 120 days of data and decisions, in production's settings, on a PostgreSQL of its
own (--sqlite: on an SQLite file). One experiment is lived through by the service itself, the others are copies of it.
Printed for each page: queries, CPU time of the server's process (the least of several requests), bytes before
compression. Last, how long a browser may keep the style sheet.

    ./dev bench pages [--sqlite] [--experiments 1000]
"""

import argparse
import datetime as dt
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import django

from benchmarks.machine import machine
from tests.postgresql import postgresql

if TYPE_CHECKING:
    from django.db import models
    from django.test import Client

ROOT = Path(__file__).resolve().parent.parent
DAYS, VARIANTS = 120, ("control", "b", "c", "d", "e")
REPEATS = 7
# Copies keep their distance: no original's id reaches the next copy's.
STRIDE = {"variant": 10, "metric": 1000, "allocation": 1000, "share": 1000}
TABS = ("", "performance/", "allocation/", "regret/", "confidence/", "activity/")


def main() -> None:
    options = _options()
    with _database(sqlite=options.sqlite) as url:
        os.environ |= {
            "DATABASE_URL": url, "DEBUG": "false", "SECRET_KEY": "benchmark-" * 6, "ALLOWED_HOSTS": "testserver",
            "DASHBOARD_LOGIN_REQUIRED": "true", "DJANGO_SETTINGS_MODULE": "bandit_project.settings",
            "LOG_LEVEL": "ERROR",
        }  # fmt: skip
        for command in (["migrate", "--verbosity", "0"], ["collectstatic", "--no-input", "--verbosity", "0"]):
            subprocess.run([sys.executable, str(ROOT / "manage.py"), *command], check=True)
        django.setup()
        _fill(options.experiments)
        print(machine())
        print(f"{options.experiments:,} experiments, {DAYS} days, {len(VARIANTS)} variants;", end=" ")
        print("SQLite" if options.sqlite else "PostgreSQL")
        _measure()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench pages", description=__doc__)
    parser.add_argument("--sqlite", action="store_true")
    parser.add_argument("--experiments", type=int, default=1000)
    return parser.parse_args()


@contextmanager
def _database(*, sqlite: bool) -> Iterator[str]:
    if not sqlite:
        with postgresql() as url:
            yield url
        return
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{folder}/bench.sqlite3"


def _fill(experiments: int) -> None:
    from allocation.models import Allocation, AllocationShare
    from experiments.models import DailyMetric, Experiment, Variant

    _live_through()
    more = experiments - 1
    _copy(Experiment, {"id": 1}, more, key="key || '-' || n", name="name || ' ' || n")
    _copy(Variant, {"id": STRIDE["variant"], "experiment_id": 1}, more)
    _copy(DailyMetric, {"id": STRIDE["metric"], "variant_id": STRIDE["variant"]}, more)
    _copy(Allocation, {"id": STRIDE["allocation"], "experiment_id": 1}, more)
    shifts = {
        "id": STRIDE["share"], "allocation_id": STRIDE["allocation"], "variant_id": STRIDE["variant"],
    }  # fmt: skip
    _copy(AllocationShare, shifts, more)
    _analyze()


def _live_through() -> None:
    """One experiment through its days, by the service's own demo."""
    from allocation.demo import DemoExperiment, seed_demo
    from experiments.selectors import today

    rates = dict(zip(VARIANTS, (0.05, 0.051, 0.052, 0.053, 0.054), strict=True))
    story = DemoExperiment("Bench", "Five close variants.", DAYS, 5000, rates)
    seed_demo(today=today(), now=dt.datetime.now(tz=dt.UTC), seed=1, stories=[story])


def _copy(model: "type[models.Model]", shifts: Mapping[str, int], times: int, **expressions: str) -> None:
    """``times`` copies of all rows, each with the named columns shifted by so much more."""
    from django.db import connection

    columns = [str(field.column) for field in model._meta.concrete_fields]
    values = [
        f"{column} + n * {shifts[column]}" if column in shifts else expressions.get(column, column)
        for column in columns
    ]
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH RECURSIVE copies(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copies WHERE n < {times}) "  # noqa: S608
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM {table}, copies"
        )


def _analyze() -> None:
    """As autovacuum does before long."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _measure() -> None:
    from django.contrib.auth import get_user_model
    from django.test import Client

    from experiments.models import Experiment

    client = Client()
    client.force_login(get_user_model().objects.create_superuser("bench"))
    key = Experiment.objects.latest("pk").key
    pages = ["/dashboard/", "/dashboard/?state=optimizing&order=decision", "/dashboard/?order=traffic"]
    pages += [f"/dashboard/experiments/{key}/{tab}" for tab in TABS]
    print(f"\n{'page':54}{'queries':>9}{'CPU, ms':>9}{'KB':>7}")
    for page in pages:
        queries, seconds, size = _cost(client, page)
        print(f"{page.replace(key, '...'):54}{queries:9}{1000 * seconds:9.0f}{size / 1024:7.0f}")
    _print_caching(client)


def _cost(client: "Client", page: str) -> tuple[int, float, int]:
    """Queries, least CPU seconds, bytes."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        response = client.get(page, secure=True)
        number = len(queries)  # the next request empties the log
    if response.status_code != 200:
        sys.exit(f"{page} answered {response.status_code}")
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        client.get(page, secure=True)
        times.append(time.process_time() - start)
    return number, min(times), len(response.content)


def _print_caching(client: "Client") -> None:
    """The header of a vendored file under the name that pages ask for."""
    page = client.get("/dashboard/", secure=True).content.decode()
    sheet = next(iter(re.findall(r'href="(/static/vendor/[^"]+\.css)"', page)))
    print(f"\n{sheet}: {client.get(sheet, secure=True)['Cache-Control']}")


if __name__ == "__main__":
    main()
