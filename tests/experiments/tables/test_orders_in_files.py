"""Files of single orders: a line for each, added up by variant and day."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from experiments.exceptions import InvalidError
from experiments.ingestion.diff import RowChange
from experiments.metrics import MEASURE_NAMES, DailyCounts, Reward
from experiments.models import DailyMetric, Experiment
from experiments.tables.importing.importer import Target, import_table
from experiments.tables.importing.report import ImportOptions, ImportReport
from experiments.tables.mapping import remember_columns
from experiments.tables.preview import CsvPreview
from experiments.tables.reading.bounded import within
from experiments.tables.reading.bounds import Bounds
from tests.factory import NOW, TODAY, counts, make_experiment, make_table, record

pytestmark = pytest.mark.django_db

_HEADER = "date,variant_name,value\n"
_BOUNDS = Bounds(1000, "split it")


def _load(text: str, experiment: Experiment, **options: Any) -> ImportReport:
    chosen = ImportOptions(**options)
    return import_table(make_table(text), today=TODAY, now=NOW, target=Target(experiment), options=chosen)


def _valued(**fields: Any) -> Experiment:
    """Make an experiment with a day of 1,000 impressions and 40 clicks of each variant, and no orders."""
    experiment = make_experiment(reward=Reward.VALUE_PER_IMPRESSION, **fields)
    record(experiment, counts("control", 1000, 40), counts("variant_b", 1000, 40))
    return experiment


def _stored(name: str = "control") -> tuple[Any, ...]:
    row = DailyMetric.objects.get(variant__name=name)
    return row.impressions, row.clicks, row.conversions, row.value_sum, row.value_squares


def test_orders__are_added_up_and_the_day_keeps_what_was_seen_of_it() -> None:
    report = _load(f"{_HEADER}{TODAY},control,12.50\n{TODAY},control,30\n{TODAY},variant_b,7\n", _valued())

    assert (report.total_rows, report.processed_rows, report.has_orders) == (3, 3, True)
    assert _stored() == (1000, 40, 2, Decimal("42.5"), 1056.25)
    assert _stored("variant_b") == (1000, 40, 1, Decimal(7), 49.0)


def test_orders__loaded_twice__are_not_added_twice() -> None:
    experiment = _valued()
    for _time in range(2):
        _load(f"{_HEADER}{TODAY},control,12.50\n{TODAY},control,30\n", experiment)

    assert _stored() == (1000, 40, 2, Decimal("42.5"), 1056.25)


def test_orders__above_the_cap__count_as_the_cap_and_are_counted() -> None:
    report = _load(f"{_HEADER}{TODAY},control,500\n{TODAY},control,20\n", _valued(value_cap=Decimal(100)))

    assert report.values_capped == 1
    assert _stored() == (1000, 40, 2, Decimal(120), 10400.0)


def test_orders__by_name_and_by_key_of_a_variant__are_of_one_day() -> None:
    experiment = _valued()
    experiment.variants.filter(name="variant_b").update(name="Blue")
    key = experiment.variants.get(name="Blue").key

    _load(f"{_HEADER}{TODAY},Blue,1\n{TODAY},{key},2\n", experiment)

    assert _stored("Blue") == (1000, 40, 2, Decimal(3), 5.0)


def test_orders__without_impressions_of_the_day__are_refused_with_the_fix() -> None:
    day = TODAY - dt.timedelta(days=1)

    report = _load(f"{_HEADER}{TODAY},control,5\n{day},control,5\n{TODAY},Blue,5\n", _valued())

    assert [str(issue) for issue in report.issues] == [
        f"line 3, variant_name: 'control' has orders on {day}, but no impressions are stored of that day; "
        "load the day's totals first",
        f"line 4, variant_name: 'Blue' has orders on {TODAY}, but no impressions are stored of that day; "
        "load the day's totals first",
    ]
    assert _stored() == (1000, 40, 0, Decimal(0), 0.0)


def test_orders__more_than_impressions__are_refused() -> None:
    experiment = make_experiment(reward=Reward.VALUE_PER_IMPRESSION)
    record(experiment, counts("control", 1, 0))

    report = _load(f"{_HEADER}{TODAY},control,5\n{TODAY},control,5\n", experiment)

    assert str(report.issues[0]).startswith(
        "line 2, conversions: conversions (2) must not exceed impressions (1): count at most one"
    )


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ("-5", "-5 is below 0: take a refund off the order that it belongs to"),
        ("1.23456", "1.23456 must have at most 4 decimal places; round it"),
        ("10000000000000000", "10000000000000000 is too large; the largest value is 1000000000000000"),
        ("", "is blank: outcome not known yet"),
        ("gift", "'gift' is not a number; write it as 1234"),
    ],
)
@pytest.mark.parametrize("on_error", ["reject", "skip"])
def test_orders__one_that_cannot_be_read__day_is_not_taken(cell: str, problem: str, on_error: str) -> None:
    text = f"{_HEADER}{TODAY},control,5\n{TODAY},control,{cell}\n{TODAY},variant_b,8\n"

    report = _load(text, _valued(), on_error=on_error)

    assert any(i.line == 3 and i.column == "value" and problem in i.message for i in report.issues)
    assert _stored()[2] == 0
    assert _stored("variant_b")[2] == (on_error == "skip")


_ONE_BLANK = f"{_HEADER}{TODAY},control,5\n{TODAY},control,\n{TODAY},variant_b,8\n"


@pytest.mark.parametrize(("on_error", "others"), [("reject", 0), ("skip", 1)])
def test_orders__blank_value_left_out__rest_of_its_day_is_only_a_part_and_refused(
    on_error: str, others: int
) -> None:
    report = _load(_ONE_BLANK, _valued(), blank="skip", on_error=on_error)

    assert report.blank_skipped == 1
    assert [str(issue).partition(":")[0] for issue in report.issues] == ["line 2, variant_name"]
    assert "is only a part of the day" in report.issues[0].message
    assert (_stored()[2], _stored("variant_b")[2]) == (0, others)


def test_orders__blank_value_as_zero__is_a_conversion_worth_nothing() -> None:
    _load(_ONE_BLANK, _valued(), blank="zero")

    assert _stored()[2:] == (2, Decimal(5), 25.0)


def test_orders__row_of_totals__is_refused_by_name() -> None:
    report = _load(f"{_HEADER}{TODAY},control,5\n{TODAY},Total,5\n", _valued())

    assert "is a row of totals" in report.issues[0].message


def test_orders__value_remembered_by_a_person__is_read_and_totals_are_as_before() -> None:
    experiment = _valued()
    remember_columns(experiment, {"Revenue": "value"})
    target = Target(experiment, known={"revenue": "value"})
    orders = make_table(f"date,variant,Revenue\n{TODAY},control,5\n")
    totals = make_table(
        f"date,variant,impressions,clicks,conversions,Revenue,value_squares\n{TODAY},control,900,30,1,6,36\n"
    )

    import_table(orders, today=TODAY, now=NOW, target=target)
    assert _stored() == (1000, 40, 1, Decimal(5), 25.0)

    import_table(totals, today=TODAY, now=NOW, target=target)
    assert _stored() == (900, 30, 1, Decimal(6), 36.0)


def test_revenue_alone__is_refused_with_both_readings() -> None:
    with pytest.raises(InvalidError) as refused:
        _load(f"date,variant,revenue\n{TODAY},control,5\n", _valued())

    assert "lacks: impressions, clicks" in refused.value.issues[0].message
    assert "single order, call the column of its value: value" in refused.value.issues[0].message


def test_orders__of_two_experiments_by_id_and_key__are_added_up_for_each() -> None:
    first, second = _valued(), make_experiment("Other", reward=Reward.VALUE_PER_CLICK, value_cap=Decimal(2))
    record(second, DailyCounts(TODAY, "control", 50, 5))
    rows = [(first.pk, 1), (first.key, 2), (second.key, 3)]
    text = "".join(f"{reference},{TODAY},control,{value}\n" for reference, value in rows)

    report = import_table(make_table(f"experiment,date,variant,value\n{text}"), today=TODAY, now=NOW)

    stored = DailyMetric.objects.filter(conversions__gt=0).order_by("pk")
    assert [(row.conversions, row.value_sum) for row in stored] == [(2, Decimal(3)), (1, Decimal(2))]
    assert (report.values_capped, report.experiment_ids) == (1, [first.pk, second.pk])


@pytest.mark.parametrize("is_watched", [False, True])
@pytest.mark.parametrize("most", [1, 2, 400])
def test_orders__of_more_variants_and_days_than_a_statement_takes__are_each_beside_their_day(
    monkeypatch: pytest.MonkeyPatch, most: int, is_watched: bool
) -> None:
    monkeypatch.setattr("experiments.ingestion.stored._MOST_AT_ONCE", most)
    days = [TODAY - dt.timedelta(days=age) for age in (9, 4, 2, 0)]
    expected, lines = {}, []
    for place, name in enumerate(("One", "Two", "Three")):
        experiment = make_experiment(name, reward=Reward.VALUE_PER_IMPRESSION)
        for seen, date in enumerate(days, 100 * place + 50):
            for variant in ("control", "b"):
                record(experiment, counts(variant, seen, seen // 2, date=date))
                lines.append(f"{experiment.key},{date},{variant},0.1")
                expected[experiment.key, date, variant] = (seen, seen // 2, 1, Decimal("0.1"))
    table = within(make_table("experiment_id,date,variant_name,value\n" + "\n".join(lines)), _BOUNDS)
    changes = list[RowChange]()

    def note(_experiment: Experiment, found: list[tuple[int, RowChange]]) -> None:
        changes.extend(change for _line, change in found)

    report = import_table(table, today=TODAY, now=NOW, observer=note if is_watched else None)

    assert report.processed_rows == len(lines)
    stored = DailyMetric.objects.values_list(
        "variant__experiment__key", "date", "variant__name", *MEASURE_NAMES[:4]
    )
    assert {row[:3]: row[3:] for row in stored} == expected
    assert sorted(change.before.impressions for change in changes if change.before) == sorted(
        seen for seen, *_ in expected.values() if is_watched
    )


def test_orders__watched__read_what_is_stored_once_to_check_and_once_to_write() -> None:
    experiment = _valued()
    table = within(make_table(f"{_HEADER}{TODAY},control,12.50\n{TODAY},variant_b,30\n"), _BOUNDS)

    with CaptureQueriesContext(connection) as asked:
        import_table(
            table, today=TODAY, now=NOW, target=Target(experiment), observer=CsvPreview.of(experiment).observe
        )

    statements = [query["sql"] for query in asked if "experiments_dailymetric" in query["sql"]]
    assert len([sql for sql in statements if sql.startswith("SELECT")]) == 2


def test_orders__seen_again__are_the_same() -> None:
    experiment = _valued()
    found = CsvPreview.of(experiment)
    text = f"{_HEADER}{TODAY},control,0.1\n{TODAY},variant_b,0.7\n"
    _load(text, experiment)

    import_table(
        within(make_table(text), _BOUNDS),
        today=TODAY,
        now=NOW,
        target=Target(experiment),
        observer=found.observe,
    )

    assert (found.tally["same"], found.tally["changed"], found.tally["added"]) == (2, 0, 0)


def test_orders__behind_a_blank_first_cell__are_read() -> None:
    text = f"note,date,variant_name,value\n,{TODAY},control,5\n,,,\n,{TODAY},control,7\n"

    report = import_table(within(make_table(text), _BOUNDS), today=TODAY, now=NOW, target=Target(_valued()))

    assert (report.total_rows, _stored()) == (2, (1000, 40, 2, Decimal(12), 74.0))


def test_orders__variants_renamed_before_they_are_written__count_for_the_name_of_the_file() -> None:
    experiment = _valued()
    record(experiment, counts("control", 2000, 80))
    control, variant_b = (experiment.variants.get(name=name) for name in ("control", "variant_b"))
    text = f"{_HEADER}{TODAY},control,5\n{TODAY},variant_b,7\n"
    swapped: list[bool] = []

    def swap(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        answer = execute(sql, params, many, context)
        if not swapped and "FROM experiments_dailymetric" in sql:
            swapped.append(True)
            for variant, name in ((control, "x"), (variant_b, "control"), (control, "variant_b")):
                experiment.variants.filter(pk=variant.pk).update(name=name)
        return answer

    with connection.execute_wrapper(swap):
        import_table(within(make_table(text), _BOUNDS), today=TODAY, now=NOW, target=Target(experiment))

    assert swapped
    assert (_stored(), _stored("variant_b")) == (
        (1000, 40, 1, Decimal(5), 25.0),
        (2000, 80, 1, Decimal(7), 49.0),
    )
