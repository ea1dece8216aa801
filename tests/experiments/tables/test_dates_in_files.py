"""Imports of files whose dates are written in many ways."""

import datetime as dt
import io
from typing import Any

import pytest
from django.core.management import call_command, load_command_class
from django.utils import timezone

from experiments.exceptions import MAX_ISSUES
from experiments.management.choices import chosen_options
from experiments.models import DailyMetric, Experiment
from experiments.tables.importing.importer import Target, import_table
from experiments.tables.importing.report import ImportOptions, ImportReport
from experiments.tables.reading.bounds import Bounds
from experiments.tables.reading.dates import DateOrder
from experiments.tables.reading.opening import open_table
from experiments.tables.uploads import keep_upload
from experiments.tables.waiting import OWNER, question_of, record_waiting
from experiments.tables.ways_in import WayIn
from tests.experiments.tables.workbooks import workbook
from tests.factory import NOW, counts, make_experiment, make_table, record

pytestmark = pytest.mark.django_db

TODAY = dt.date(2026, 11, 26)
HEADER = "date,variant_name,impressions,clicks,conversions\n"


def _load(dates: list[str], experiment: Experiment, **options: Any) -> ImportReport:
    text = HEADER + "".join(f'"{date}",b,100,{n},0\n' for n, date in enumerate(dates))
    return import_table(
        make_table(text), today=TODAY, now=NOW, target=Target(experiment), options=ImportOptions(**options)
    )


def _days() -> list[dt.date]:
    """List the days that are stored, in the order of the file's lines."""
    return list(DailyMetric.objects.order_by("clicks").values_list("date", flat=True))


def test_totals__with_dates_of_an_export__are_recorded() -> None:
    dates = [
        "20261101",
        "2026/11/02",
        "2026-11-03 00:00:00",
        "2026-11-04T00:00:00Z",
        "Nov 5, 2026",
        "6 de nov. de 2026",
    ]

    _load(dates, make_experiment())

    assert _days() == [dt.date(2026, 11, day) for day in range(1, 7)]


def test_totals__of_a_workbook_with_dates_as_numbers_and_as_dates__are_recorded() -> None:
    rows: list[list[Any]] = [
        ["Date", "Variant", "Impressions", "Clicks"],
        [20261101.0, "b", 100.0, 0.0],
        [dt.date(2026, 11, 2), "b", 100.0, 1.0],
        ["2026/11/03", "b", 100.0, 2.0],
    ]
    table = open_table(lambda: io.BytesIO(workbook({"A": rows})))

    import_table(table, today=TODAY, now=NOW, target=Target(make_experiment()))

    assert _days() == [dt.date(2026, 11, day) for day in (1, 2, 3)]


_BOUNDS = [None, Bounds(37_000, "split it")]


def _load_text(rows: str, bounds: Bounds | None = None, **options: Any) -> ImportReport:
    table = open_table(lambda: io.BytesIO(f"{HEADER}{rows}".encode()), bounds=bounds)
    chosen = ImportOptions(**options)
    return import_table(table, today=TODAY, now=NOW, target=Target(make_experiment()), options=chosen)


def _untold(number: int) -> list[dt.date]:
    """List days until the twelfth of a month, which tell no order."""
    days = (dt.date(2000, 1, 1) + dt.timedelta(n) for n in range(9000))
    return [day for day in days if day.day <= 12][:number]


@pytest.mark.parametrize("bounds", _BOUNDS)
@pytest.mark.parametrize("place", [0, 499, 500, 1200])
def test_order__shown_by_one_date_anywhere__is_that_of_the_file(place: int, bounds: Bounds | None) -> None:
    """Dates until the twelfth of a month do not tell, in blocks before and behind the one that does."""
    days = _untold(1200)
    days.insert(place, dt.date(2025, 1, 13))

    report = _load_text("".join(f"{day:%d/%m/%Y},b,5000,{n},0\n" for n, day in enumerate(days)), bounds)

    assert _days() == days
    assert report.dates == ("day_first", "13/01/2025", True)


@pytest.mark.parametrize("bounds", _BOUNDS)
@pytest.mark.parametrize("place", [499, 500, 1200])
@pytest.mark.parametrize(
    ("told", "other", "recorded"),
    [
        (["13/01/2025"], "01/14/2025", []),
        (["13/01/2025"], "2025-01-05", [dt.date(2025, 1, 5)]),
        (["13/01/2025", "01/14/2025"], "2025-01-05", [dt.date(2025, 1, 5)]),
    ],
)
@pytest.mark.parametrize("order", ["detect", "day_first"])
def test_order__that_one_date_anywhere_denies__refuses_each_date_that_needs_it(
    told: list[str],
    other: str,
    recorded: list[dt.date],
    place: int,
    bounds: Bounds | None,
    order: DateOrder,
) -> None:
    dates = [f"{day:%d/%m/%Y}" for day in _untold(1200)]
    dates[: len(told)] = told
    dates.insert(place, other)
    rows = "".join(f"{date},b,5000,{n},0\n" for n, date in enumerate(dates))

    report = _load_text(rows, bounds, on_error="skip", date_order=order)

    assert (_days(), report.dates.has_choice) == (recorded, False)
    assert report.total_issues == len(dates) - len(recorded)
    assert f"'{other}' on line {place + 2}" in report.issues[-1].message


@pytest.mark.parametrize(
    "line",
    [
        "13/02/2026,report end",
        "13/02/2026,,,,",
        "13/02/2026,b,1,1,0,more",
        "13/02/0026,b,1,1,0",
        "13/02/1999,b,1,1,0",
        "13/02/2028,b,1,1,0",
    ],
)
def test_order__in_a_line_that_cannot_count__is_not_that_of_the_file(line: str) -> None:
    report = _load_text(f"01/11/2026,b,100,0,0\n{line}\n", on_error="skip")

    assert (_days(), report.dates) == ([], ("", "", True))


@pytest.mark.parametrize("row", ["13/11/2026,b,100,x,0", "13/11/2026,b,100,200,0", "13/11/2026,b,100,,0"])
def test_order__in_a_row_that_is_refused_for_its_numbers_or_left_out__is_that_of_the_file(row: str) -> None:
    report = _load_text(f"01/11/2026,b,100,0,0\n{row}\n", on_error="skip", blank="skip")

    assert (_days(), report.dates.order) == ([dt.date(2026, 11, 1)], "day_first")


def test_order__in_a_row_of_another_experiment__is_that_of_the_file() -> None:
    own, other = make_experiment("Own"), make_experiment("Other")
    rows = f"{own.key},01/11/2026,b,100,0,0\n{other.key},13/11/2026,b,100,0,0\n"
    table = make_table(f"experiment_id,{HEADER}{rows}")

    report = import_table(table, today=TODAY, now=NOW, target=Target(own, only=True))

    assert (_days(), report.dates.order, report.left_out) == ([dt.date(2026, 11, 1)], "day_first", 1)


@pytest.mark.parametrize("line", ["2026-11-05,report end", "2026-11-05,,,,", "0026-11-05,b,1,1,0"])
def test_order__beside_another_form_in_a_line_that_cannot_count__can_be_said(line: str) -> None:
    _load_text(f"01/11/2026,b,100,0,0\n{line}\n", on_error="skip", date_order="day_first")

    assert _days() == [dt.date(2026, 11, 1)]


def test_order__that_nothing_shows__is_refused_and_can_be_said() -> None:
    dates, experiment = ["01/11/2026", "02/11/2026"], make_experiment()

    refused = _load(dates, experiment)

    assert (refused.total_issues, refused.dates.has_choice, _days()) == (2, True, [])
    _load(dates, experiment, date_order="month_first")
    assert _days() == [dt.date(2026, 1, 11), dt.date(2026, 2, 11)]


def test_order__that_two_dates_contradict__refuses_each_row() -> None:
    report = _load(["01/11/2026", "13/11/2026", "11/14/2026"], make_experiment(), on_error="skip")

    assert [issue.line for issue in report.issues] == [2, 3, 4]
    assert _days() == []


@pytest.mark.parametrize(
    ("way_in", "end"),
    [
        ("v1", "yyyy-mm-dd, or say which comes first (date_order=day_first or date_order=month_first)"),
        ("classic", "with the date format yyyy-mm-dd"),
        ("command", "or say which comes first (--date-order day_first or --date-order month_first)"),
        ("page", "or say above which comes first"),
    ],
)
def test_order__that_nothing_shows__is_asked_for_as_each_way_in_has_it(way_in: WayIn, end: str) -> None:
    [issue] = _load(["01/11/2026"], make_experiment(), way_in=way_in).issues

    assert issue.column == "date"
    assert issue.message.endswith(end)


def test_order__of_very_many_bad_dates__has_choice_as_well() -> None:
    report = _load(["01/11/2026"] * (MAX_ISSUES + 600), make_experiment(), on_error="skip")

    assert report.dates.has_choice


def test_orders__with_moments_in_the_order_of_the_file__are_added_up_by_day() -> None:
    experiment = make_experiment()
    days = [dt.date(2026, 11, 1), dt.date(2026, 11, 13)]
    record(experiment, *(counts("control", 100, 5, date=day) for day in days), today=TODAY)
    text = "date,variant,value\n01/11/2026 14:03,control,5\n13/11/2026 9:10,control,7\n01/11/2026 23:59:59,control,1\n"

    import_table(make_table(text), today=TODAY, now=NOW, target=Target(experiment))

    stored = DailyMetric.objects.order_by("date").values_list("date", "conversions")
    assert list(stored) == [(days[0], 2), (days[1], 1)]


def test_command__with_an_order__reads_the_dates_so_and_says_it(tmp_path: Any) -> None:
    experiment = make_experiment()
    file = tmp_path / "totals.csv"
    file.write_text(f"{HEADER}01/11/2024,b,100,5,0\n")
    said = io.StringIO()

    call_command("import_events", file, experiment=experiment.key, date_order="day_first", stdout=said)

    assert _days() == [dt.date(2024, 11, 1)]
    assert "Dates were read with the day first\n" in said.getvalue()


def test_command__with_a_date_that_tells__names_it(tmp_path: Any) -> None:
    file = tmp_path / "totals.csv"
    file.write_text(f"{HEADER}01/11/2024,b,100,5,0\n13/11/2024,b,100,5,0\n")
    said = io.StringIO()

    call_command("import_events", file, experiment=make_experiment().key, stdout=said)

    assert "Dates were read with the day first, as 13/11/2024 can only be so\n" in said.getvalue()


def test_queued_file__with_an_order__is_read_so_by_a_worker() -> None:
    experiment = make_experiment()
    parser = load_command_class("experiments", "queue_imports").create_parser("manage.py", "queue_imports")
    given = parser.parse_args(["a.csv", "--experiment", experiment.key, "--date-order", "day_first"])
    content = f"{HEADER}01/11/2024,b,100,5,0\n".encode()
    upload = keep_upload(
        experiment=experiment, owner=OWNER, name="a.csv", content=content, now=timezone.now()
    )

    answer = record_waiting(**question_of(upload, chosen_options(vars(given))))

    assert _days() == [dt.date(2024, 11, 1)]
    assert answer["facts"] == ["New variants: b", "Dates were read with the day first"]
