"""Measure what the lists of the admin cost in a large installation.

10,000 experiments of 5 variants with 20 days of data each (a million daily rows) and 21 decisions, in production's
settings, on a PostgreSQL of its own (--sqlite: on an SQLite file, whose queries count as the server's own CPU time).
Printed for each page: queries, CPU time of the server's process (the least of several requests), wall time (with the
database's), bytes before compression. The aim is at most 8 queries and 300 ms of CPU for each.

    ./dev bench admin [--sqlite] [--experiments 10000]
"""

import argparse
import time
from typing import TYPE_CHECKING

from benchmarks.machine import machine
from benchmarks.service.filling import VARIANTS, cost, database, fill, prepare

if TYPE_CHECKING:
    from django.test import Client

DAYS = 20
REPEATS = 3
MOST_QUERIES, MOST_MILLISECONDS = 8, 300


def main() -> None:
    options = _options()
    with database(sqlite=options.sqlite) as url:
        prepare(url)
        fill(options.experiments, days=DAYS, with_inputs=False)
        print(machine())
        print(f"{options.experiments:,} experiments, {DAYS} days, {len(VARIANTS)} variants;", end=" ")
        print("SQLite" if options.sqlite else "PostgreSQL")
        _measure()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench admin", description=__doc__)
    parser.add_argument("--sqlite", action="store_true")
    parser.add_argument("--experiments", type=int, default=10_000)
    return parser.parse_args()


def _pages() -> list[str]:
    from experiments.models import Experiment
    from experiments.selectors import today

    key, day = Experiment.objects.latest("pk").key, today()
    month = f"{day.year}&{{field}}__month={day.month}"
    return [
        "experiments/experiment/",
        "experiments/experiment/?q=bench",
        "experiments/experiment/?status__exact=active&o=6",
        "experiments/dailymetric/",
        f"experiments/dailymetric/?experiment={key}",
        f"experiments/dailymetric/?date__year={month.format(field='date')}",
        "experiments/dailymetric/?p=100",
        "allocation/allocation/",
        f"allocation/allocation/?experiment={key}",
        f"allocation/allocation/?target_date__year={month.format(field='target_date')}",
        "allocation/allocation/?kind__exact=optimized",
        "notifications/alarm/",
        "notifications/delivery/",
        "bandit_project/apikey/",
    ]


def _measure() -> None:
    from django.contrib.auth import get_user_model
    from django.test import Client

    client = Client()
    client.force_login(get_user_model().objects.create_superuser("bench"))
    print(f"\n{'page':62}{'queries':>9}{'CPU, ms':>9}{'wall, ms':>9}{'KB':>7}")
    for page in _pages():
        _print_cost(client, page)


def _print_cost(client: "Client", page: str) -> None:
    queries, seconds, size = cost(client, f"/admin/{page}", REPEATS)
    start = time.perf_counter()
    client.get(f"/admin/{page}", secure=True)
    wall = 1000 * (time.perf_counter() - start)
    over = " over" if queries > MOST_QUERIES or 1000 * seconds > MOST_MILLISECONDS else ""
    print(f"{page:62}{queries:9}{1000 * seconds:9.0f}{wall:9.0f}{size / 1024:7.0f}{over}", flush=True)


if __name__ == "__main__":
    main()
