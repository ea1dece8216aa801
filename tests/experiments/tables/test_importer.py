import datetime as dt
from typing import Any

import pytest

from experiments.exceptions import MAX_ISSUES, InvalidError
from experiments.models import DailyMetric, Experiment, Status, Variant
from experiments.tables.export import metrics_download
from experiments.tables.importing.importer import Target, import_table
from experiments.tables.importing.report import ImportOptions, ImportReport
from tests.factory import NOW, TODAY, counts, make_experiment, make_table, record

pytestmark = pytest.mark.django_db

HEADER = "experiment_id,date,variant_name,impressions,clicks,conversions\n"


def _import(content: str | bytes, *, target: Target | None = None, **options: Any) -> ImportReport:
    return import_table(
        make_table(content), today=TODAY, now=NOW, options=ImportOptions(**options), target=target
    )


@pytest.mark.parametrize(
    "text",
    [
        HEADER + "{id},2025-08-14,control,100,10,1\n",
        "\ufeff" + HEADER + "{id},2025-08-14,control,100,10,1\n",
        HEADER.replace(",", ";") + "{id};2025-08-14;control;100;10;1\n",
        (HEADER + "{id},2025-08-14,control,100,10,1\n").replace("\n", "\r\n"),
        HEADER + '{id},2025-08-14,"control",100,10,1',
        "date, variant_name,EXPERIMENT_ID,clicks,impressions,conversions\n2025-08-14,control,{id}, 10 ,100,1\n",
        HEADER + "\n{id},2025-08-14,control,100,10,1\n\n,,,,,\n",
    ],
    ids=["plain", "bom", "semicolon", "crlf", "quoted", "other order", "blank lines"],
)
def test_import__spellings_of_one_file__mean_the_same(text: str) -> None:
    experiment = make_experiment()

    report = _import(text.replace("{id}", str(experiment.pk)))

    assert (report.processed_rows, report.total_issues) == (1, 0)
    assert DailyMetric.objects.values_list("date", "impressions", "clicks", "conversions").get() == (
        dt.date(2025, 8, 14), 100, 10, 1,
    )  # fmt: skip


def test_import__more_problems_than_are_answered__reads_no_further_and_says_where_it_stopped() -> None:
    experiment = make_experiment()
    bad = f"{experiment.pk},2025-99-01,control,10,5,0\n"

    report = _import(HEADER + bad * (2 * MAX_ISSUES))

    assert (report.total_rows, report.total_issues, len(report.issues)) == (
        MAX_ISSUES - 1,
        MAX_ISSUES,
        MAX_ISSUES,
    )
    # the header is line 1
    assert (report.issues[-1].line, report.issues[-1].column) == (MAX_ISSUES, "file")
    assert "rows after this line were not read" in report.issues[-1].message
    assert not DailyMetric.objects.exists()


def test_import__bad_rows_skipped__reads_to_the_end() -> None:
    experiment = make_experiment()
    bad, good = f"{experiment.pk},2025-99-01,a,10,5,0\n", f"{experiment.pk},2025-08-14,a,10,5,0\n"

    report = _import(HEADER + bad * (MAX_ISSUES + 5) + good, on_error="skip")

    assert (report.processed_rows, report.total_issues) == (1, MAX_ISSUES + 5)


@pytest.mark.database_free
@pytest.mark.parametrize(
    "bad",
    [
        "{key},2025-08-13,a,x{n},y,z\n",
        "{key},2025-08-13,a,,,\n",
        "{key},2025-13-{n},a,10,5,0\n",
        "{key},2025-08-13,a,10,{n}1,0\n",
        "{key},2025-08-13,a,01,02,03\n",
        "{key},2090-01-01,a,10,5,0\n",
        "unknown-{n},2025-08-13,a,10,5,0\n",
        "unknown-{n},2025-08-13,Total,10,5,0,1\n",
    ],
    ids=[
        "no number",
        "blank",
        "no date",
        "not nested",
        "cut",
        "future",
        "unknown experiment",
        "too many cells",
    ],
)
def test_import__bad_rows_skipped__are_counted_each_once_the_first_are_described(bad: str) -> None:
    key = make_experiment().key
    text = HEADER + "".join(bad.format(key=key, n=n + 1) for n in range(MAX_ISSUES + 5))
    good = [f"{key},2025-08-{day},a,10,5,0\n" for day in (10, 11)]

    report = _import(text + "".join(good), on_error="skip")

    assert report.processed_rows == 2
    assert (report.total_rows, report.refused_rows) == (MAX_ISSUES + 7, MAX_ISSUES + 5)
    counted = MAX_ISSUES + 5 - (report.issues[-1].line - 1)  # the header is line 1
    # the last row that is described may have two problems more
    assert 0 <= report.total_issues - MAX_ISSUES - counted <= 2
    assert len(report.issues) == MAX_ISSUES
    assert all(issue.message for issue in report.issues)


@pytest.mark.database_free
@pytest.mark.parametrize(
    "part", ["{key},2025-08-14,a,x,5,0\n", "{key},2025-08-14,A,10,11,0\n", "{key},2025-08-14, a ,,5,0\n"]
)
def test_import__part_of_a_day_that_is_only_counted__keeps_the_other_part_out(part: str) -> None:
    key = make_experiment().key
    bad = f"{key},2025-99-01,a,10,5,0\n"
    good = f"{key},2025-08-14,a,10,5,0\n{key},2025-08-13,a,10,5,0\n"

    report = _import(HEADER + good + bad * MAX_ISSUES + part.format(key=key), on_error="skip")

    assert (report.processed_rows, report.refused_rows) == (1, MAX_ISSUES + 2)
    assert DailyMetric.objects.get().date == dt.date(2025, 8, 13)


@pytest.mark.database_free
def test_import__number_in_another_style_after_many_bad_rows__is_read_as_before() -> None:
    key = make_experiment().key
    bad = f"{key},2025-99-01,a,10,5,0\n"
    good = f'{key},2025-08-14,a,"12,000",1e1,5.0\n{key},2025-08-13,a,"12,000",10,5.0\n'

    report = _import(HEADER + bad * MAX_ISSUES + good, on_error="skip")

    # 1e1 is no way to write a count
    assert (report.processed_rows, report.refused_rows) == (1, MAX_ISSUES + 1)
    assert DailyMetric.objects.get().impressions == 12_000


@pytest.mark.database_free
@pytest.mark.parametrize("empty", [",,,,,\n", " , ,,,, \n", "\n"])
def test_import__empty_lines_after_many_bad_rows__are_no_rows(empty: str) -> None:
    key = make_experiment().key
    bad, good = f"{key},2025-99-01,a,10,5,0\n", f"{key},2025-08-14,a,10,5,0\n"

    report = _import(HEADER + bad * MAX_ISSUES + good + empty * 3, on_error="skip")

    assert (report.total_rows, report.processed_rows) == (MAX_ISSUES + 1, 1)
    assert (report.total_issues, report.kinds["blank"]) == (MAX_ISSUES, 0)


def test_import__experiments_named_by_id_key_and_name_after_many_unknown_ones__are_found() -> None:
    experiment = make_experiment("Café 7")
    unknown = "".join(f"unknown {n},2025-08-14,a,10,5,0\n" for n in range(150))
    names = (f"00{experiment.pk}", experiment.key, "Café 7")
    good = "".join(f"{name},2025-08-{10 + n},a,10,5,0\n" for n, name in enumerate(names))

    report = _import(HEADER + unknown + good, on_error="skip")

    assert (report.processed_rows, report.total_issues) == (3, 150)


def test_import__no_conversions_column__are_0() -> None:
    experiment = make_experiment()

    _import(f"experiment_id,date,variant_name,impressions,clicks\n{experiment.key},2025-08-14,a,5,1\n")

    assert DailyMetric.objects.get().conversions == 0


def test_import__quoted_name_with_commas_and_quotes__is_one_name() -> None:
    experiment = make_experiment()

    _import(HEADER + f'{experiment.pk},2025-08-14,"Blue, ""bold""",5,1,0\n')

    assert Variant.objects.get().name == 'Blue, "bold"'


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("{id},2025-08-14,a,5,6,0", "clicks"),
        ("{id},2025-08-14,a,5,1,6", "conversions"),
        ("{id},2025-08-14,a,-5,1,0", "impressions"),
        ("{id},2025-08-14,a,5.5,1,0", "impressions"),
        ("{id},2025-08-14,a,nan,1,0", "impressions"),
        ("{id},2025-08-14,a,1e3,1,0", "impressions"),
        ("{id},2025-08-14,a,,1,0", "impressions"),
        ("{id},2025-08-14,a,9999999999999,1,0", "impressions"),
        ("{id},2025-08-14,a,99999999999999999999999,1,0", "impressions"),
        ("{id},14/08/2025,a,5,1,0", "date"),
        ("{id},2025-02-30,a,5,1,0", "date"),
        ("{id},2031-01-01,a,5,1,0", "date"),
        ("{id},2025-08-14,,5,1,0", "variant_name"),
        ("999999,2025-08-14,a,5,1,0", "experiment_id"),
        ("no such,2025-08-14,a,5,1,0", "experiment_id"),
        ("{id},2025-08-14,a,5,1", "file"),
    ],
)
def test_import__bad_row__is_reported_by_line_and_column_and_rejects_the_file(row: str, column: str) -> None:
    experiment = make_experiment()
    text = (
        HEADER + f"{experiment.pk},2025-08-14,good,5,1,0\n" + row.replace("{id}", str(experiment.pk)) + "\n"
    )

    report = _import(text)

    assert [(issue.line, issue.column) for issue in report.issues] == [(3, column)]
    assert (report.processed_rows, report.total_rows) == (0, 2)
    assert not DailyMetric.objects.exists()
    assert not Variant.objects.exists()


def test_import__skip__loads_the_good_rows_and_counts_all_problems() -> None:
    experiment = make_experiment()
    rows = [f"{experiment.pk},2025-08-{day:02},a,{day},10,0\n" for day in range(1, 21)]

    report = _import(HEADER + "".join(rows), on_error="skip")

    assert (report.processed_rows, report.total_issues) == (11, 9)
    assert DailyMetric.objects.count() == 11


def test_import__completed_experiment__is_a_row_problem() -> None:
    experiment = make_experiment(status=Status.COMPLETED)

    report = _import(HEADER + f"{experiment.pk},2025-08-14,a,5,1,0\n", on_error="skip")

    assert "is ended (completed)" in report.issues[0].message


def test_import__more_than_100_variants__skips_only_those_beyond() -> None:
    experiment = make_experiment()
    rows = [f"{experiment.pk},2025-08-14,v{n},5,1,0\n" for n in range(103)]

    report = _import(HEADER + "".join(rows), on_error="skip")

    assert (report.processed_rows, report.total_issues) == (100, 3)
    assert [issue.line for issue in report.issues] == [102, 103, 104]


def test_import__create__keeps_the_files_numbers() -> None:
    report = _import(
        HEADER + "7,2025-08-14,a,5,1,0\n3,2025-08-14,a,5,1,0\nnew-one,2025-08-14,a,5,1,0\n", create=True
    )

    assert report.total_issues == 0
    assert set(Experiment.objects.values_list("key", flat=True)) == {
        "experiment-7",
        "experiment-3",
        "new-one",
    }
    assert {3, 7} <= set(Experiment.objects.values_list("pk", flat=True))


def test_import__create__next_experiment_still_gets_a_free_id() -> None:
    _import(HEADER + "7,2025-08-14,a,5,1,0\n", create=True)

    assert make_experiment("After").pk > 7


def test_import__twice__changes_nothing() -> None:
    text = HEADER + "7,2025-08-14,a,5,1,0\n"
    _import(text, create=True)

    _import(text, create=True)

    assert (Experiment.objects.count(), DailyMetric.objects.count()) == (1, 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b,c\n1,2,3\n",
        "experiment_id,date,variant_name,impressions\n",
        HEADER.strip() + ",clicks\n",
        HEADER + '1,2025-08-14,"' + "x" * 200_000 + '",1,1,1\n',
    ],
    ids=["empty", "other columns", "missing", "twice", "huge cell"],
)
def test_import__unreadable_file__is_refused_whole(text: str) -> None:
    with pytest.raises(InvalidError) as caught:
        _import(text)

    assert caught.value.issues[0].field == "file"


def test_import__good_row_beside_a_bad_one_of_its_place__may_be_a_part_and_is_refused() -> None:
    experiment = make_experiment()
    text = HEADER + f"{experiment.pk},2025-08-14,a,5,6,0\n{experiment.pk},2025-08-14,a,6,5,0\n"

    report = _import(text, on_error="skip")

    assert (report.processed_rows, report.total_issues) == (0, 2)
    assert not DailyMetric.objects.exists()


def test_import__several_problems__are_all_reported_at_once() -> None:
    experiment = make_experiment()
    text = HEADER + f"{experiment.pk},2025-08-14,a,5,6,0\n99,2025-08-14,a,6,5,0\n"

    assert [(issue.line, issue.column) for issue in _import(text).issues] == [
        (2, "clicks"),
        (3, "experiment_id"),
    ]


@pytest.mark.parametrize("reference", ["21548796301", "9223372036854775807", "99999999999999999999"])
def test_import__create_with_an_id_too_large__takes_it_as_a_name_and_finds_it_again(reference: str) -> None:
    text = HEADER + f"{reference},2025-08-14,a,5,1,0\n"

    reports = [_import(text, create=True), _import(text)]

    assert [(report.processed_rows, report.issues) for report in reports] == [(1, [])] * 2
    made = Experiment.objects.get()
    assert (made.name, made.key) == (reference, f"experiment-{reference}")
    assert made.pk < 10**9


def test_import__create_with_id_0__is_refused() -> None:
    report = _import(HEADER + "0,2025-08-14,a,5,1,0\n", create=True)

    assert report.issues[0].column == "experiment_id"


def test_import__binary_after_a_long_header__is_refused_whole() -> None:
    with pytest.raises(InvalidError):
        _import(b'"' + b"x" * 9000 + b"\xff" + b'"\n')


@pytest.mark.parametrize("name", ["=1+1", "+x", "-x", "@x", "'=1+1", "''-x", "'quoted'", "plain", 'a, "b"'])
def test_download__names_like_formulas__are_neutral_and_come_back(name: str) -> None:
    experiment = make_experiment()
    record(experiment, counts(name, 100, 10))
    rows = DailyMetric.objects.filter(variant__experiment=experiment)

    file = b"".join(metrics_download(experiment, rows)).decode()
    DailyMetric.objects.all().delete()
    report = _import(file)

    assert not any(cell.lstrip('"').startswith(("=", "+", "-", "@")) for cell in file.split(","))
    assert (report.processed_rows, report.issues) == (1, [])
    assert [row.variant.name for row in DailyMetric.objects.all()] == [name]
    assert Variant.objects.count() == 1
