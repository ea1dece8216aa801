"""Measure what visitors' software calls: OFREP, the rule set and counting, with a serve key.

The project under gunicorn (2 workers) on a PostgreSQL of its own, as ./dev bench http has it. Beside requests a second
and latencies: the CPU time of each request, of gunicorn and PostgreSQL together, which says more on a busy machine.
/health is a view with one query that goes the usual way.

    ./dev bench serving
    ./dev bench serving --seconds 10 --rounds 5 --only single
"""

import argparse
import os
import statistics
import uuid
from collections.abc import Sequence
from typing import Any

from tqdm import tqdm

from benchmarks.machine import machine
from benchmarks.service.http import (
    EXPERIMENTS,
    TODAY,
    VARIANTS,
    Call,
    Target,
    fill,
    install_wrk_if_absent,
    served,
    wrk,
)
from tests.postgresql import postgresql

_BULK, _RULES = "/ofrep/v1/evaluate/flags", "/api/v1/ruleset/"


def main() -> None:
    options = _options()
    install_wrk_if_absent()
    with postgresql() as database, served(database) as filled:
        fill(filled)
        with served(database, scope="serve", log_level="WARNING") as target:
            target.experiment = filled.experiment
            print(machine())
            print(
                f"load {os.getloadavg()[0]:.1f} before; {EXPERIMENTS} experiments of {len(VARIANTS)} variants; ",
                end="",
            )
            print(
                f"{options.clients} clients, {options.rounds} rounds of {options.seconds} s, medians; milliseconds"
            )
            _table(target, options)
    print(f"load {os.getloadavg()[0]:.1f} after")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench serving", description=__doc__)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--only", default="", help="Only the calls whose name holds this text.")
    return parser.parse_args()


def _calls(target: Target) -> list[Call]:
    visitors = [{"context": {"targetingKey": f"visitor-{n}"}} for n in range(2000)]
    key = target.session().get(target.url + _RULES).json()["experiments"][0]["key"]
    rows = [
        {
            "experiment": str(target.experiment + n),
            "variant": name,
            "day": str(TODAY),
            "impressions": 10,
            "clicks": 1,
        }
        for n in range(10)
        for name in VARIANTS
    ]
    return [
        Call("OFREP, single", "POST", f"{_BULK}/{key}", visitors),
        Call(f"OFREP, bulk of {EXPERIMENTS}", "POST", _BULK, visitors),
        Call("OFREP, bulk, 304", "POST", _BULK, visitors[:1], conditional=True),
        Call(f"rule set of {EXPERIMENTS}", "GET", _RULES),
        Call("rule set, 304", "GET", _RULES, conditional=True),
        Call("GET /health, to compare", "GET", "/health"),
        Call("counts, 40 increments", "POST", "/api/v1/counts/", _batches(rows), media_type="text/plain"),
    ]


def _batches(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return more batches than a round can send, as beacons: each has a key of its own in its body."""
    return [{"increments": rows, "idempotency_key": str(uuid.uuid4())} for _ in range(3000)]


def _table(target: Target, options: argparse.Namespace) -> None:
    print(f"\n{'':28}{'req/s':>8}{'p50':>9}{'p99':>9}{'CPU':>9}{'errors':>8}")
    for index, call in enumerate(tqdm(_calls(target), leave=False, disable=None)):
        if options.only not in call.name:
            continue
        rounds = [_round(target, index, options) for _ in range(options.rounds)]
        rate = statistics.median(one["requests"] / one["seconds"] for one in rounds)
        p50, p99 = (statistics.median(one[name] for one in rounds) for name in ("p50", "p99"))
        cpu = 1000 * statistics.median(one["cpu"] for one in rounds)
        errors = int(sum(one["errors"] for one in rounds))
        print(f"{call.name:28}{rate:8,.0f}{p50:9.1f}{p99:9.1f}{cpu:9.2f}{errors:8}")


def _round(target: Target, index: int, options: argparse.Namespace) -> dict[str, float]:
    call = _calls(target)[index]  # made again, so that no batch is sent in two rounds
    return wrk(target, call, options)


if __name__ == "__main__":
    main()
