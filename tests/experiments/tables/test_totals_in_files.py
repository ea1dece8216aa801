"""Imports of files that have rows of totals beside those of variants."""

from typing import Any

import pytest

from experiments.models import DailyMetric, Experiment
from experiments.tables.importing.importer import import_table
from experiments.tables.importing.report import ImportOptions, ImportReport
from tests.factory import NOW, TODAY, counts, make_experiment, make_table, record

pytestmark = pytest.mark.django_db

HEADER = "experiment_id,date,variant_name,impressions,clicks,conversions\n"


def _import(text: str, **options: Any) -> ImportReport:
    return import_table(make_table(text), today=TODAY, now=NOW, options=ImportOptions(**options))


def _rows(experiment: Experiment, *rows: str) -> str:
    return HEADER + "".join(f"{experiment.key},{row}\n" for row in rows)


def _stored() -> list[tuple[Any, ...]]:
    fields = ("variant__name", "impressions", "clicks", "conversions")
    return sorted(DailyMetric.objects.values_list(*fields))


@pytest.mark.parametrize(
    "name",
    [
        "Total", "GRAND TOTAL", "Total geral", "Summe", "Gesamt", "total:", "Totales",
        "Total Campaign", "Total (2 rows)", "Sum total", "Overall", "(Total)", "Total*",
    ],
)  # fmt: skip
def test_totals__with_the_sum_of_the_others__are_refused_by_name(name: str) -> None:
    rows = ("2025-08-14,a,1000,50,5", f"2025-08-14,{name},3000,110,10", "2025-08-14,b,2000,60,5")

    report = _import(_rows(make_experiment(), *rows), on_error="skip")

    assert [(issue.line, issue.column) for issue in report.issues] == [(3, "variant_name")]
    assert f"'{name}' is a row of totals" in report.issues[0].message
    assert [row[0] for row in _stored()] == ["a", "b"]


def test_totals__a_known_variant_called_so_with_numbers_of_its_own__is_a_variant() -> None:
    experiment = make_experiment()
    record(experiment, counts("Total", 1000, 50))
    rows = ("2025-08-14,a,1000,50,5", "2025-08-14,Total,999,50,5")

    assert _import(_rows(experiment, *rows)).processed_rows == 2


@pytest.mark.parametrize("total", ["Total,2900,105,9", "Total,0,0,0"])
def test_totals__that_do_not_add_up__make_no_variant(total: str) -> None:
    """A report that counts each person once has fewer in all than in its rows."""
    rows = ("2025-08-14,a,1000,50,5", f"2025-08-14,{total}", "2025-08-14,b,2000,60,5")

    [issue] = _import(_rows(make_experiment(), *rows)).issues

    assert (issue.line, issue.column) == (3, "variant_name")
    assert issue.message == (
        "'Total' may be a row of totals, and the experiment has no such variant: remove it, or add a variant of this "
        "name first"
    )


@pytest.mark.parametrize(
    "name", ["(all)", "All", "All variants", "ALLE", "Todas as variantes", "Todos", "Results from 2 ads"]
)
@pytest.mark.parametrize("is_sum", [True, False])
def test_totals__called_all__are_refused_where_they_hold_the_sum(name: str, is_sum: bool) -> None:
    rows = (
        "2025-08-14,a,1000,50,5",
        "2025-08-14,b,2000,60,5",
        f"2025-08-14,{name},{3000 + (not is_sum)},110,10",
    )

    report = _import(_rows(make_experiment(), *rows), on_error="skip")

    assert [issue.line for issue in report.issues] == [4] * is_sum
    assert all(f"'{name}' may be a row of totals" in issue.message for issue in report.issues)


def test_totals__a_known_variant_called_all__may_hold_the_sum_and_is_a_part_of_it() -> None:
    experiment = make_experiment()
    record(experiment, counts("All", 1000, 50), counts("a", 1000, 50))
    rows = ("2025-08-14,a,10,0,0", "2025-08-14,All,10,0,0", "2025-08-14,Total,20,0,0")

    report = _import(_rows(experiment, *rows), on_error="skip")

    assert report.processed_rows == 2
    assert [issue.message for issue in report.issues] == [
        "'Total' is a row of totals: it holds the sum of the day's other rows; remove it"
    ]


@pytest.mark.parametrize("known", ["Total", "a"])
def test_totals__in_several_rows_that_add_up__are_refused_all_of_them(known: str) -> None:
    experiment = make_experiment()
    record(experiment, counts(known, 1000, 50))
    devices = ("a,1000,50,5", "a,100,5,1", "b,2000,60,5", "Total,3000,110,10", "Total,100,5,1")

    report = _import(
        _rows(experiment, *(f"2025-08-14,{row}" for row in devices)), repeated="sum", on_error="skip"
    )

    assert [issue.line for issue in report.issues] == [5, 6]
    stored = DailyMetric.objects.filter(date="2025-08-14").order_by("impressions")
    assert list(stored.values_list("variant__name", "impressions")) == [("a", 1100), ("b", 2000)]


def test_totals__named_in_a_cell_beyond_the_header__are_called_so() -> None:
    """An exploration of Google Analytics ends so."""
    report = _import(_rows(make_experiment(), "2025-08-14,a,1000,50,5", ",,1000,50,5,Grand total"))

    assert [issue.message for issue in report.issues] == ["'Grand total' is a row of totals; remove it"]


@pytest.mark.parametrize("name", ["Total", "All variants"])
@pytest.mark.parametrize("untaken", ["a,1000,50,", "a,x,50,5", "a,1000,50,5,6,7", ",1000,50,5"])
def test_totals__beside_a_row_that_is_not_taken__make_no_variant(untaken: str, name: str) -> None:
    rows = (f"2025-08-14,{untaken}", "2025-08-14,b,2000,60,5", f"2025-08-14,{name},3000,110,5")

    report = _import(_rows(make_experiment(), *rows), blank="skip", on_error="skip")

    assert report.issues[-1].message.startswith(f"'{name}' may be a row of totals")
    assert _stored() == [("b", 2000, 60, 5)]


def test_totals__called_all_that_add_up_on_one_day__are_refused_on_every_day() -> None:
    days = (("2025-08-13", 3000), ("2025-08-14", 2999))
    rows = [
        f"{day},{row}" for day, all_ in days for row in ("a,1000,50,5", "b,2000,60,5", f"All,{all_},110,10")
    ]

    report = _import(_rows(make_experiment(), *rows), on_error="skip")

    assert [issue.line for issue in report.issues] == [4, 7]
    assert {row[0] for row in _stored()} == {"a", "b"}


@pytest.mark.parametrize("other", ["2025-08-13,b", "2025-08-12,a"])
def test_totals__of_the_whole_file_with_one_day_s_date__are_refused(other: str) -> None:
    rows = ("2025-08-14,a,1000,50,5", f"{other},2000,60,5", "2025-08-14,Total,3000,110,10")

    report = _import(_rows(make_experiment(), *rows), on_error="skip")

    assert [issue.line for issue in report.issues] == [4]
    assert "the sum of the file's other rows" in report.issues[0].message


def test_totals__named_in_a_column_that_nobody_needs__are_called_so() -> None:
    """Google Ads names them in its first column, whatever that is."""
    header = "Ad group status,Ad group,Day,Impr.,Clicks,Conv.,Experiment\n"
    key = make_experiment().key
    rows = f"Enabled,a,2025-08-14,1000,50,5,{key}\nTotal: Ad groups, --, --,3000,110,10, --\n"

    report = _import(header + rows)

    assert [str(issue) for issue in report.issues] == [
        "line 3, Ad group: 'Total: Ad groups' is a row of totals; remove it"
    ]


def test_totals__named_in_every_row_of_a_column_that_nobody_needs__hide_no_other_problem() -> None:
    header = "device,date,variant_name,impressions,clicks,conversions,experiment_id\n"
    key = make_experiment().key
    rows = f"Total,2025-08-14,a,1000,50,5,{key}\nTotal,2025-08-14,b,2000,x,5,{key}\n"

    [issue] = _import(header + rows).issues

    assert (issue.line, issue.column) == (3, "clicks")
