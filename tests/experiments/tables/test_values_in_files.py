"""Values in files: the sum of a day, and the sum of the squares of the single ones."""

from decimal import Decimal
from typing import Any

import pytest

from experiments.metrics import MEASURES, Reward
from experiments.models import DailyMetric, Experiment
from experiments.tables.export import metrics_download
from experiments.tables.importing.importer import Target, import_table
from experiments.tables.importing.report import ImportOptions, ImportReport
from experiments.tables.preview import preview_table
from tests.factory import NOW, TODAY, make_experiment, make_table

pytestmark = pytest.mark.django_db

_HEADER = "date,variant_name,impressions,clicks,conversions,value_sum,value_squares\n"


def _load(text: str, experiment: Experiment) -> ImportReport:
    return import_table(make_table(text), today=TODAY, now=NOW, target=Target(experiment))


def _valued(**fields: Any) -> Experiment:
    return make_experiment(reward=Reward.VALUE_PER_IMPRESSION, **fields)


def test_import__values_and_squares__are_stored_exactly() -> None:
    report = _load(f"{_HEADER}2025-08-31,control,1000,40,2,42.50,1056.25\n", _valued())

    assert report.issues == []
    row = DailyMetric.objects.get()
    assert (row.conversions, row.value_sum, row.value_squares) == (2, Decimal("42.5"), 1056.25)


def test_import__export_of_large_values__brings_them_back() -> None:
    experiment = _valued()
    _load(f"{_HEADER}2025-08-31,control,1000,40,1,100000000,1e16\n", experiment)
    file = b"".join(metrics_download(experiment, DailyMetric.objects.all())).decode()
    DailyMetric.objects.all().delete()

    assert _load(file, experiment).issues == []

    row = DailyMetric.objects.get()
    assert (row.value_sum, row.value_squares) == (Decimal(100_000_000), 1e16)


def test_import__revenue_of_an_export__goal_counts_clicks__is_ignored_and_named() -> None:
    text = "Day,Variant,Impressions,Clicks,Conversions,Conv. value\n2025-08-31,control,1000,40,2,$42\n"

    report = _load(text, make_experiment())

    assert (report.issues, report.ignored_columns) == ([], ["Conv. value"])
    assert DailyMetric.objects.get().value_sum == 0


def test_import__revenue_without_squares__goal_is_value__says_what_is_needed() -> None:
    text = "Day,Variant,Impressions,Clicks,Conversions,Conv. value\n2025-08-31,control,1000,40,2,42\n"

    report = _load(text, _valued())

    assert [issue.line for issue in report.issues] == [2]
    assert "the sum of squared values is needed beside the value (42)" in report.issues[0].message
    assert not DailyMetric.objects.exists()


def test_import__more_squares_than_the_sum_can_have__names_line_column_and_the_most() -> None:
    report = _load(f"{_HEADER}2025-08-31,control,1000,40,1,40,99999\n", _valued())

    ((line, column, message),) = report.issues
    assert (line, column) == (2, "value_squares")
    assert "values that add up to 40 have squares that add up to 1600 at most" in message
    assert not DailyMetric.objects.exists()


@pytest.mark.parametrize(
    ("reward", "columns", "lacking"),
    [
        (Reward.VALUE_PER_IMPRESSION, "impressions,clicks,conversions", ["value_sum", "value_squares"]),
        (Reward.CONVERSION_RATE, "impressions,clicks", ["conversions"]),
    ],
)
def test_import__file_without_what_the_goal_needs__is_refused_and_nothing_becomes_0(
    reward: Reward, columns: str, lacking: list[str]
) -> None:
    experiment = make_experiment(reward=reward)
    _load(f"{_HEADER}2025-08-31,control,1000,40,2,42.50,1056.25\n", experiment)
    numbers = ",".join(["1000", "50", "2"][: columns.count(",") + 1])

    rows = "".join(f"2025-08-{day},control,{numbers}\n" for day in (29, 30, 31))
    report = _load(f"title\ndate,variant_name,{columns}\n{rows}", experiment)

    said = (
        f"is not in the file, and the goal of {experiment.key} needs it: add it, with 0 where there was none"
    )
    assert report.issues == [(2, name, said) for name in lacking]
    assert (report.total_issues, report.total_rows, report.refused_rows) == (len(lacking), 3, 3)
    row = DailyMetric.objects.get()
    assert (row.conversions, row.value_sum) == (2, Decimal("42.5"))


def test_import__file_without_values__those_stored_stay_and_the_preview_shows_it() -> None:
    experiment = make_experiment()
    _load(f"{_HEADER}2025-08-31,control,1000,40,2,42.50,1056.25\n", experiment)
    text = "date,variant_name,impressions,clicks,conversions,revenue\n2025-08-31,control,2000,50,2,0\n"

    shown = preview_table(
        make_table(text), experiment=experiment, known={}, options=ImportOptions(), today=TODAY, now=NOW
    )
    _load(text, experiment)

    (line,) = shown.lines["changed"]
    assert [(m.name, before, after) for m, before, after in line.numbers] == [
        ("impressions", 1000, 2000),
        ("clicks", 40, 50),
        ("conversions", 2, 2),
        ("value_sum", Decimal("42.5"), Decimal("42.5")),
        ("value_squares", 1056.25, 1056.25),
    ]
    assert shown.measures == MEASURES
    row = DailyMetric.objects.get()
    assert (row.impressions, row.value_sum, row.value_squares) == (2000, Decimal("42.5"), 1056.25)


def test_import__blank_values_taken_as_0__replace_those_stored() -> None:
    experiment = _valued()
    _load(f"{_HEADER}2025-08-31,control,1000,40,2,42.50,1056.25\n", experiment)
    text = f"{_HEADER}2025-08-31,control,1000,40,1,,\n2025-08-31,control,1000,40,1,,\n"

    import_table(
        make_table(text),
        today=TODAY,
        now=NOW,
        options=ImportOptions(blank="zero", repeated="sum"),
        target=Target(experiment),
    )

    row = DailyMetric.objects.get()
    assert (row.impressions, row.value_sum, row.value_squares) == (2000, Decimal(0), 0.0)


def test_import__file_without_what_one_goal_needs__refuses_that_experiments_rows_alone() -> None:
    lacking, other = make_experiment(reward=Reward.CONVERSION_RATE), make_experiment("Other")
    rows = [(lacking.key, 1), (other.key, 2), (lacking.pk, 3), (lacking.key, 4)]
    text = "".join(f"{name},2025-08-{day:02},control,100,5\n" for name, day in rows)

    report = import_table(
        make_table(f"experiment_id,date,variant_name,impressions,clicks\n{text}"),
        today=TODAY,
        now=NOW,
        options=ImportOptions(on_error="skip"),
    )

    assert [(issue.line, issue.column) for issue in report.issues] == [(1, "conversions")]
    assert (report.processed_rows, report.refused_rows) == (1, 3)
    assert DailyMetric.objects.get().variant.experiment == other
