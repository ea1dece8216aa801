"""Make test data; every argument has a believable default."""

import datetime as dt
import io
from typing import Any

from allocation.models import Allocation
from allocation.services import compute_allocation
from experiments.ingestion.record import record_events
from experiments.metrics import DailyCounts
from experiments.models import Experiment
from experiments.services import create_experiment
from experiments.tables.reading.opening import open_table
from experiments.tables.reading.source import Table

NOW = dt.datetime(2025, 9, 1, 12, tzinfo=dt.UTC)
TODAY = NOW.date()


def make_table(content: str | bytes) -> Table:
    """Open the text or the bytes of a file as a table."""
    raw = content.encode() if isinstance(content, str) else content
    return open_table(lambda: io.BytesIO(raw))


def make_experiment(name: str = "Button colour", **settings: Any) -> Experiment:
    fields = {key: settings.pop(key) for key in ("status", "reward", "description") if key in settings}
    experiment = create_experiment(name=name, now=NOW, **fields)
    if settings:
        Experiment.objects.filter(pk=experiment.pk).update(**settings)
        experiment.refresh_from_db()
    return experiment


def counts(
    name: str, impressions: int, clicks: int, conversions: int = 0, date: dt.date = TODAY
) -> DailyCounts:
    return DailyCounts(date, name, impressions, clicks, conversions)


def record(experiment: Experiment, *rows: DailyCounts, today: dt.date = TODAY) -> None:
    record_events(experiment_id=experiment.pk, rows=rows, today=today, now=NOW)


def make_running(name: str = "Button colour", **settings: Any) -> Experiment:
    """Make the README's example: control 10,000/700 against variant_b 10,000/950."""
    experiment = make_experiment(name, **settings)
    record(experiment, counts("control", 10000, 700), counts("variant_b", 10000, 950))
    return experiment


def allocate(experiment: Experiment, date: dt.date = TODAY) -> Allocation:
    return compute_allocation(experiment_id=experiment.pk, target_date=date, now=NOW).allocation


def shares_of(allocation: Allocation) -> dict[str, float]:
    rows = allocation.shares.select_related("variant").order_by("variant_id")
    return {row.variant.name: float(row.share) for row in rows}
