"""Measure the CPU of each page and call that reads an experiment at its largest, and of first decisions of long ones.

    ./dev bench strained

100 variants with values, other metrics and guards, 365 days and 30 decisions, in production's settings on SQLite, whose
queries count too; and the statistics of as large an experiment of which a tenth of the days is absent, other days of
each variant. To be held: two seconds each. CPU time of the process, the least of two requests; a decision is made
once. BLAS held to one thread.
"""

import datetime as dt
import os
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from benchmarks.machine import machine
from benchmarks.service.filling import database, prepare

if TYPE_CHECKING:
    from django.test import Client

    from experiments.models import Experiment

VARIANTS, DAYS, DECISIONS = 100, 365, 30
ABSENT = 0.1
# Days, how many of them the rates last, and whether there are values and guards.
LONG = ((365, 7, False), (365, 14, False), (1000, 7, False), (1000, 1000, False), (1000, 7, True))
MOST_SECONDS = 2.0

PAGES = (
    "", "?variants=all", "statistics.csv", "explore/", "explore/?variants=all", "explore/?range=28",
    "explore/?metric=conversion_rate", "explore/?from={first}&to={last}", "traffic/", "traffic/?variants=all",
    "traffic/decision-log.csv", "history/", "integrate/", "report/", "everything.zip", "data/",
    "data/day/?date={last}", "data/daily-metrics.csv", "settings/", "simulate/", "plan/",
)  # fmt: skip
CALLS = (
    "", "variants/", "metrics/?page_size=1000", "metrics/?format=csv", "guards/", "notes/", "allocation/",
    "allocations/?page_size=100", "allocations/{decision}/", "assignment/?unit=visitor-1", "statistics/",
    "statistics/?format=csv",
)  # fmt: skip


def main() -> int:
    with database(sqlite=True) as url:
        prepare(url)
        experiment = fill("Strained", DECISIONS)
        print(machine())
        print(f"{VARIANTS} variants, {DAYS} days, {DECISIONS} decisions; seconds of CPU")
        took = [*_reads(experiment), *_absences(), *_first_decisions()]
    return int(max(took) >= MOST_SECONDS)


def fill(name: str, decisions: int, absent: float = 0.0) -> "Experiment":
    """Make the experiment, record a year and let the service decide its last days.

    ``absent``: the part of the days that each variant but the control lacks.
    """
    from allocation.services import compute_allocation
    from experiments.ingestion.record import record_events
    from experiments.metrics import Reward
    from experiments.selectors import today
    from experiments.services import create_experiment

    last = today()
    began = dt.datetime.combine(last - dt.timedelta(days=DAYS), dt.time(9), tzinfo=dt.UTC)
    names = ["control", *(f"variant {n}" for n in range(1, VARIANTS))]
    experiment = create_experiment(name=name, now=began, reward=Reward.VALUE_PER_IMPRESSION, variants=names)
    _guard(experiment, began)
    rng = np.random.default_rng(1)
    for back in reversed(range(DAYS)):
        date = last - dt.timedelta(days=back)
        now = dt.datetime.combine(date, dt.time(12), tzinfo=dt.UTC)
        record_events(experiment_id=experiment.pk, rows=_day(date, names, rng, absent), today=date, now=now)
        if back < decisions:
            compute_allocation(experiment_id=experiment.pk, target_date=date, now=now)
    return experiment


def _day(date: dt.date, names: list[str], rng: np.random.Generator, absent: float) -> list[Any]:
    from decimal import Decimal

    from experiments.metrics import DailyCounts

    rows = []
    for place, name in enumerate(names):
        if place and absent and rng.random() < absent:
            continue
        impressions = int(rng.integers(500, 2000))
        clicks = int(rng.binomial(impressions, 0.1 * rng.lognormal(0, 0.1)))
        conversions = int(rng.binomial(clicks, 0.3 + 0.001 * place))
        orders = np.round(30 * rng.lognormal(0, 0.5, conversions), 2)
        total = Decimal(round(100 * float(orders.sum()))) / 100
        rows.append(
            DailyCounts(date, name, impressions, clicks, conversions, total, float((orders**2).sum()))
        )
    return rows


def _reads(experiment: "Experiment") -> Iterator[float]:
    from django.contrib.auth import get_user_model
    from django.test import Client

    from allocation.models import Allocation
    from experiments.selectors import today

    client, caller = Client(), Client(headers={"X-API-Key": _key("bench")})
    client.force_login(get_user_model().objects.create_superuser("bench"))
    dates = {"first": experiment.created_at.date() + dt.timedelta(days=60), "last": today()}
    decision = Allocation.objects.filter(experiment=experiment).latest("pk")
    for page in PAGES:
        yield _print(
            page or "results",
            _least(client, f"/dashboard/experiments/{experiment.key}/{page.format(**dates)}"),
        )
    for page in ("/dashboard/", "/dashboard/experiments.csv"):
        yield _print(page, _least(client, page))
    for call in CALLS:
        path = f"/api/v1/experiments/{experiment.key}/{call.format(decision=decision.pk)}"
        yield _print(f"/api/v1/.../{call}", _least(caller, path))
    computed = f"/allocation?experiment_id={experiment.pk}"
    plain = f"/experiments/{experiment.key}"
    for path in (computed, f"{computed}&window_days=364", plain, f"{plain}/history", "/experiments/"):
        yield _print(path, _least(caller, path))


def _absences() -> Iterator[float]:
    """Read the statistics of variants that lack days, each others: they are worked on together all the same."""
    from django.test import Client

    experiment = fill("Absences", decisions=1, absent=ABSENT)
    caller = Client(headers={"X-API-Key": _key("absences")})
    took = _least(caller, f"/api/v1/experiments/{experiment.key}/statistics/")
    yield _print(f"/api/v1/.../statistics/ with {ABSENT:.0%} of the days absent", took)


def _guard(experiment: "Experiment", now: dt.datetime) -> None:
    from experiments.campaign.watch import add_guard

    for metric in ("ctr", "conversion_rate"):
        add_guard(experiment_id=experiment.pk, metric=metric, max_fall=0.9, action="tell", now=now)


def _first_decisions() -> Iterator[float]:
    """Record long histories and let the service decide for the first time."""
    from allocation.services import compute_allocation
    from experiments.selectors import today

    last = today()
    now = dt.datetime.combine(last, dt.time(12), tzinfo=dt.UTC)
    for days, lasting, guarded in LONG:
        experiment = _recorded(days, lasting, now, guarded=guarded)
        start = time.process_time()
        compute_allocation(experiment_id=experiment.pk, target_date=last, now=now)
        took = time.process_time() - start
        beside = ", values and guards" if guarded else ""
        yield _print(f"first decision of {days:,} days, rates that last {lasting:,}{beside}", took)


def _recorded(days: int, lasting: int, now: dt.datetime, *, guarded: bool) -> "Experiment":
    """Make an experiment of so many days; the halves of its variants swap their rates from time to time."""
    from decimal import Decimal

    from experiments.ingestion.record import record_batch
    from experiments.metrics import DailyCounts, Reward
    from experiments.services import create_experiment

    names = ["control", *(f"variant {n}" for n in range(1, VARIANTS))]
    began = now - dt.timedelta(days=days)
    experiment = create_experiment(
        name=f"Long {days} {lasting} {guarded}",
        now=began,
        variants=names,
        reward=Reward.VALUE_PER_IMPRESSION if guarded else Reward.CTR,
    )
    if guarded:
        _guard(experiment, began)
    for back in range(days, 0, -1):
        date = now.date() - dt.timedelta(days=back)
        clicks = [700 if (back // lasting + place) % 2 else 1400 for place in range(VARIANTS)]
        rows = [
            (experiment.key, DailyCounts(date, name, 10_000, n, n, Decimal(30 * n), 1100.0 * n))
            if guarded
            else (experiment.key, DailyCounts(date, name, 10_000, n))
            for name, n in zip(names, clicks, strict=True)
        ]
        record_batch(rows=rows, today=now.date(), now=now)
    return experiment


def _key(name: str) -> str:
    from bandit_project.models import ApiKey

    return str(ApiKey.objects.create_key(name=name, scope="admin")[1])


def _least(client: "Client", path: str) -> float:
    return min(_seconds(client, path) for _ in range(2))


def _seconds(client: "Client", path: str) -> float:
    start = time.process_time()
    response = client.get(path, secure=True)
    b"".join(response)
    took = time.process_time() - start
    if response.status_code >= 400:
        sys.exit(f"{path} answered {response.status_code}: {response.content[:300]!r}")
    return took


def _print(name: str, seconds: float) -> float:
    print(f"  {seconds:5.2f}{' over' if seconds >= MOST_SECONDS else ''}  {name}", flush=True)
    return seconds


if __name__ == "__main__":
    sys.exit(main())
