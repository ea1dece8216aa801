"""Measure clients/python: assignments and events a second of one core, and memory; then kill servers and service.

./dev bench clients            # the figures, then 100 servers with 1,000,000 events (half an hour)
./dev bench clients --quick    # the figures alone
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.machine import machine

_CLIENT = Path(__file__).resolve().parents[2] / "clients/python"
_UNITS = [f"visitor-{n}" for n in range(200_000)]
_ROUNDS = 3


def _rules(variants: int) -> dict[str, Any]:
    shares = {f"variant-{n}": 10_000 // variants for n in range(variants)}
    return {
        "version": 1, "time_zone": "UTC",
        "experiments": [
            {"key": "hero", "status": "active", "allocation": 1, "shares": shares, "fallback": None, "counts": True}
        ],
    }  # fmt: skip


def _client(variants: int, **options: Any) -> Any:
    """A client whose service never answers: counts stay where they are."""
    from bandit_client import Client

    client = Client("http://127.0.0.1:9", "", flush_interval=3600, poll_interval=3600, timeout=1, **options)
    client._rules._use(_rules(variants))
    return client


def _rate(work: Callable[[str], object], rounds: int = 1) -> str:
    """Calls a second of CPU time, of the fastest round."""
    best = float("inf")
    for _ in range(rounds):
        started = time.process_time()
        for unit in _UNITS:
            work(unit)
        best = min(best, time.process_time() - started)
    return f"{len(_UNITS) / best:>10,.0f} a second"


def _assignments() -> None:
    for variants in (2, 4, 10):
        client = _client(variants)
        rate = _rate(partial(client.get_variant, "hero"), _ROUNDS)
        print(f"assignments, {variants:>2} variants        {rate}", flush=True)
        client.close()


def _events(title: str, **options: Any) -> None:
    client = _client(2, **options)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{title}first exposures       {_rate(lambda unit: client.exposure('hero', unit))}")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{title}exposures seen before {_rate(lambda unit: client.exposure('hero', unit), _ROUNDS)}")
    print(f"{title}clicks                {_rate(lambda unit: client.click('hero', unit))}")
    print(f"{title}memory of {len(_UNITS):,} units: {grown / 1024:.0f} MB", flush=True)
    client.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev bench clients", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="Leave out the servers that are killed.")
    quick = parser.parse_args().quick
    sys.path.insert(0, str(_CLIENT))
    print(machine(), flush=True)
    _assignments()
    _events("", max_units=len(_UNITS))
    with tempfile.TemporaryDirectory() as spool:
        _events("durable, ", max_units=len(_UNITS), spool_dir=spool, durable=True)
    if quick:
        return 0
    test = "tests/resilience/test_counting_clients.py"
    command = [sys.executable, "-m", "pytest", "-n", "0", "-v", test]
    return subprocess.call(command, env={**os.environ, "RESILIENCE": "full"})


if __name__ == "__main__":
    sys.exit(main())
