"""The table of docs/importing.md: each file of it does what the table says."""

import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest

from allocation.exceptions import PastTestsError
from allocation.lab.past_tests import read_past_tests
from experiments.exceptions import InvalidError
from experiments.ingestion.record import record_events
from experiments.metrics import DailyCounts
from experiments.models import DailyMetric, Experiment
from experiments.services import create_experiment
from experiments.tables.importing.importer import Target, import_table
from experiments.tables.importing.report import ImportOptions, ImportReport
from tests.conftest import ROOT
from tests.factory import make_table

pytestmark = pytest.mark.django_db

DATA = Path(__file__).parent / "data"
DAY = dt.date(2026, 11, 26)
NOW = dt.datetime(2026, 11, 26, 12, tzinfo=dt.UTC)
_ROW = re.compile(r"\| \[([^\]]+)\]\(([^)]+)\) \| [^|]* \| ([^|]*) \| (.*) \|")
ROWS = _ROW.findall((ROOT / "docs" / "importing.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("name", "link", "choice", "result"), ROWS, ids=[f"{row[0]} {row[2]}" for row in ROWS]
)
def test_file__of_the_table__does_what_the_table_says(name: str, link: str, choice: str, result: str) -> None:
    file = (ROOT / "docs" / link).resolve()

    assert file == DATA / name
    assert outcome(file, choice.strip().strip("`")) == result.strip()


def test_table__names_every_file() -> None:
    assert {row[0] for row in ROWS} == {file.name for file in DATA.iterdir()}


def outcome(file: Path, choice: str) -> str:
    """Say in a line what becomes of a file."""
    return _past_tests(file) if "backtest" in file.name else _import(file, choice)


def _past_tests(file: Path) -> str:
    try:
        tests = read_past_tests(make_table(file.read_bytes()))
    except PastTestsError as error:
        issue = error.row_issues[0]
        return f"Refused: {issue}"
    [test] = tests
    pairs = zip(test.variants, test.counts.impressions, test.counts.clicks, strict=True)
    return "Read: " + ", ".join(f"{name} {shown:.0f}/{clicks:.0f}" for name, shown, clicks in pairs)


def _import(file: Path, choice: str) -> str:
    own = _experiments()
    values: dict[str, Any] = dict(part.split("=") for part in choice.split() if "=" in part)
    target = Target(own, only=True) if choice == "own page" else None
    if "orders" in file.name and choice != "no day stored":
        _store_days(own)
    try:
        report = import_table(
            make_table(file.read_bytes()), today=DAY, now=NOW, options=ImportOptions(**values), target=target
        )
    except InvalidError as error:
        return f"Refused: {error.issues[0].message}"
    return _said(report)


def _experiments() -> Experiment:
    create_experiment(name="Late enrolments", variants=["control", "b"], now=NOW)
    return create_experiment(name="Ads test", variants=["control", "blue"], now=NOW)


def _store_days(experiment: Experiment) -> None:
    """Store two days of 1000 impressions and 50 clicks, beside which orders come."""
    days = (DAY - dt.timedelta(days=6), DAY - dt.timedelta(days=5))
    rows = [DailyCounts(day, name, 1000, 50) for day in days for name in ("control", "blue")]
    record_events(experiment_id=experiment.pk, rows=rows, today=DAY, now=NOW)


def _said(report: ImportReport) -> str:
    if report.issues and not report.has_loaded:
        return (
            "Refused: " + "; ".join(map(str, report.issues[:2])) + ("; …" if report.total_issues > 2 else "")
        )
    rows = DailyMetric.objects.order_by("date", "variant_id").select_related("variant")
    if report.has_orders:
        return "Read: " + ", ".join(
            f"{r.variant.name} {r.impressions}/{r.clicks}/{r.conversions} worth {r.value_sum.normalize():f}"
            for r in rows
            if r.conversions
        )
    said = [
        "Read: " + ", ".join(f"{r.variant.name} {r.impressions}/{r.clicks}/{r.conversions}" for r in rows[:2])
    ]
    said += [f"{len(rows)} rows in all"] if len(rows) > 2 else []
    said += [f"{report.blank_skipped} rows left out"] if report.blank_skipped else []
    said += [f"not needed: {', '.join(report.ignored_columns)}"] if report.ignored_columns else []
    said += [f"new variants: {', '.join(report.new_variants)}"] if report.new_variants else []
    said += [f"dates: {report.dates.order}"] if report.dates.order else []
    said += [f"problems: {report.total_issues}"] if report.issues else []
    return "; ".join(said)
