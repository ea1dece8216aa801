"""Measure what the pages of the dashboard cost in a large installation.

1,000 experiments of 5 variants with 120 days of data and decisions, in production's settings, on a PostgreSQL of its
own (--sqlite: on an SQLite file). The service runs one experiment through its days, the others are copies of it.
Printed for each page: queries, CPU time of the server's process (the least of several requests), bytes before
compression. Last, how long a browser may keep the style sheet.

    ./dev bench pages [--sqlite] [--experiments 1000]
"""

import argparse
import re
from typing import TYPE_CHECKING

from benchmarks.machine import machine
from benchmarks.service.filling import VARIANTS, cost, database, fill, prepare

if TYPE_CHECKING:
    from django.test import Client

DAYS = 120
REPEATS = 7
TABS = ("", "explore/", "traffic/", "data/", "settings/", "history/")


def main() -> None:
    options = _options()
    with database(sqlite=options.sqlite) as url:
        prepare(url)
        fill(options.experiments, days=DAYS)
        print(machine())
        print(f"{options.experiments:,} experiments, {DAYS} days, {len(VARIANTS)} variants;", end=" ")
        print("SQLite" if options.sqlite else "PostgreSQL")
        _measure()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench pages", description=__doc__)
    parser.add_argument("--sqlite", action="store_true")
    parser.add_argument("--experiments", type=int, default=1000)
    return parser.parse_args()


def _measure() -> None:
    from django.contrib.auth import get_user_model
    from django.test import Client

    from experiments.models import Experiment

    client = Client()
    client.force_login(get_user_model().objects.create_superuser("bench"))
    key = Experiment.objects.latest("pk").key
    pages = ["/dashboard/", "/dashboard/?stage=learning&order=decision", "/dashboard/?order=traffic"]
    pages += [f"/dashboard/experiments/{key}/{tab}" for tab in TABS]
    print(f"\n{'page':54}{'queries':>9}{'CPU, ms':>9}{'KB':>7}")
    for page in pages:
        queries, seconds, size = cost(client, page, REPEATS)
        print(f"{page.replace(key, '...'):54}{queries:9}{1000 * seconds:9.0f}{size / 1024:7.0f}")
    _print_caching(client)


def _print_caching(client: "Client") -> None:
    """Print the header of a vendored file under the name that pages ask for."""
    page = client.get("/dashboard/", secure=True).content.decode()
    sheet = next(iter(re.findall(r'href="(/static/vendor/[^"]+\.css)"', page)))
    print(f"\n{sheet}: {client.get(sheet, secure=True)['Cache-Control']}")


if __name__ == "__main__":
    main()
