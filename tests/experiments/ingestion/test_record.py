import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.audit.intake import Intake
from experiments.exceptions import (
    ExperimentNotFoundError,
    InvalidError,
    InvalidRowsError,
    StatusConflictError,
)
from experiments.ingestion.record import record_batch, record_events
from experiments.metrics import HIGHEST_COUNT, DailyCounts
from experiments.models import DailyMetric, Experiment, Status, Variant
from tests.factory import NOW, TODAY, counts, make_experiment, record

pytestmark = pytest.mark.django_db


def _refused(experiment: Experiment, *rows: DailyCounts) -> list[str]:
    with pytest.raises(InvalidRowsError) as caught:
        record(experiment, *rows)
    assert not DailyMetric.objects.exists()
    assert not Variant.objects.exclude(name="control").exists()
    return [issue.field for issue in caught.value.issues]


def test_record_events__first_call__creates_variants_with_control_by_name() -> None:
    experiment = make_experiment()

    record(experiment, counts("blue", 10, 1), counts("control", 10, 1), counts("green", 10, 1))

    found = experiment.variants.values_list("name", "key", "is_control")
    assert list(found) == [("blue", "blue", False), ("control", "control", True), ("green", "green", False)]


@pytest.mark.parametrize(
    ("names", "control"),
    [
        (("B", "A"), "A"),
        (("new", "Baseline", "a"), "Baseline"),
        (("original", "baseline", "Control_Group"), "Control_Group"),
        (("CONTROLE", "nova"), "CONTROLE"),
        (("variant_a", "original offer"), "variant_a"),
    ],
)
def test_record_events__first_call_brings_several__control_is_the_one_named_so(
    names: tuple[str, ...], control: str
) -> None:
    experiment = make_experiment()

    record(experiment, *(counts(name, 10, 1) for name in names))

    assert experiment.variants.get(is_control=True).name == control


def test_record_events__no_variant_called_control__first_listed_is_control() -> None:
    experiment = make_experiment()

    record(experiment, counts("blue", 10, 1), counts("green", 10, 1))

    assert experiment.variants.get(is_control=True).name == "blue"


def test_record_events__control_named_later__stays_with_the_first() -> None:
    experiment = make_experiment()
    record(experiment, counts("blue", 10, 1))

    record(experiment, counts("control", 10, 1))

    assert experiment.variants.get(is_control=True).name == "blue"


def test_record_events__same_day_again__replaces_the_totals() -> None:
    experiment = make_experiment()
    record(experiment, counts("control", 10, 1))

    record(experiment, counts("control", 25, 4, 2))

    row = DailyMetric.objects.get()
    assert (row.impressions, row.clicks, row.conversions) == (25, 4, 2)


def test_record_events__renamed_variant__answers_to_name_and_key() -> None:
    experiment = make_experiment()
    record(experiment, counts("control", 10, 1))
    Variant.objects.update(name="Old design")

    record(experiment, counts("control", 20, 2))
    record(experiment, counts("Old design", 30, 3))

    assert DailyMetric.objects.get().impressions == 30


def test_record_events__renamed_variant_under_both_names__is_refused() -> None:
    experiment = make_experiment()
    record(experiment, counts("control", 10, 1))
    Variant.objects.update(name="Old design")

    with pytest.raises(InvalidRowsError, match="another name"):
        record(experiment, counts("control", 20, 2), counts("Old design", 30, 3))

    assert DailyMetric.objects.get().impressions == 10


def test_record_events__names_that_are_special_to_the_database__are_only_names() -> None:
    names = ['say "hi"', "back\\slash", "{a,b}", "NULL", "it's", "açúcar 🍬", '"', "a,b"]
    experiment = make_experiment()
    record(experiment, *(counts(name, 10, 1) for name in names))

    record(experiment, *(counts(name, 20 + n, 2) for n, name in enumerate(names)))

    stored = DailyMetric.objects.values_list("variant__name", "impressions")
    assert dict(stored) == {name: 20 + n for n, name in enumerate(names)}


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (counts("control", 10, 11), "clicks"),
        (counts("control", 10, 5, 11), "conversions"),
        (counts("control", -1, 0), "impressions"),
        (counts("control", HIGHEST_COUNT + 1, 0), "impressions"),
        (counts("control", 1, 0, date=TODAY + dt.timedelta(days=2)), "date"),
        (counts("control", 1, 0, date=dt.date(1999, 12, 31)), "date"),
    ],
)
def test_record_events__impossible_row__names_the_field_and_writes_nothing(
    row: DailyCounts, field: str
) -> None:
    experiment = make_experiment()

    assert f"rows[1].{field}" in _refused(experiment, counts("good", 10, 1), row)


def test_record_events__variant_twice_on_a_day__is_refused() -> None:
    assert _refused(make_experiment(), counts("a", 1, 0), counts("a", 2, 0)) == ["rows[1].variant_name"]


def test_record_events__look_alikes_and_bad_counts__are_refused_in_one_answer() -> None:
    experiment = make_experiment()
    Variant.objects.create(experiment=experiment, key="control", name="control")

    refused = _refused(
        experiment, counts("Control", 10, 1), counts("b", 1, 2), counts("a", 1, 0), counts("A", 2, 0)
    )

    assert refused == ["rows[0].variant_name", "rows[1].clicks", "rows[3].variant_name"]


def test_record_events__tomorrow__passes() -> None:
    record(make_experiment(), counts("control", 1, 0, date=TODAY + dt.timedelta(days=1)))

    assert DailyMetric.objects.count() == 1


def test_record_events__no_rows__is_refused() -> None:
    with pytest.raises(InvalidError, match="at least one"):
        record(make_experiment())


def test_record_events__variant_101__is_refused_whole() -> None:
    experiment = make_experiment()
    record(experiment, *(counts(f"v{n}", 10, 1) for n in range(100)))

    with pytest.raises(InvalidRowsError, match="at most 100") as caught:
        record(experiment, counts("v1", 99, 1), counts("one_more", 10, 1))

    assert caught.value.row_issues[0][0] == 1
    assert experiment.variants.count() == 100
    assert not DailyMetric.objects.filter(impressions=99).exists()


@pytest.mark.parametrize("status", [Status.DRAFT, Status.COMPLETED])
def test_record_events__not_running__is_a_conflict(status: Status) -> None:
    experiment = make_experiment(status=status)

    with pytest.raises(StatusConflictError, match=str(status.label).lower()):
        record(experiment, counts("control", 1, 0))


def test_record_events__paused__takes_events() -> None:
    record(make_experiment(status=Status.PAUSED), counts("control", 1, 0))

    assert DailyMetric.objects.exists()


def test_record_events__unknown_experiment__is_not_found() -> None:
    with pytest.raises(ExperimentNotFoundError):
        record_events(experiment_id=10**15, rows=[counts("control", 1, 0)], today=TODAY, now=NOW)


def test_record_events__each_ingestion__raises_data_version_by_one() -> None:
    experiment = make_experiment()

    record(experiment, counts("control", 1, 0))
    record(experiment, counts("control", 2, 0))
    with pytest.raises(InvalidRowsError):
        record(experiment, counts("control", 2, 3))

    experiment.refresh_from_db()
    assert experiment.data_version == 2


def test_record_events__known_variants__as_few_statements_as_can_be(
    django_assert_num_queries: object,
) -> None:
    experiment = make_experiment()
    record(experiment, counts("control", 1, 0), counts("b", 1, 0))

    # SQLite: raise data_version, read variants, upsert, keep who recorded it. And two of the savepoint in the test's
    # own transaction.
    statements = 3 if connection.vendor == "postgresql" else 6
    with django_assert_num_queries(statements):  # type: ignore[operator]  # pytest-django's fixture is untyped
        record(experiment, counts("control", 2, 0), counts("b", 2, 0))


@pytest.mark.django_db(transaction=True)
def test_record_events__known_variants__one_transaction_writes_rows_and_who_recorded_them() -> None:
    """A deletion between the two would leave the second without its experiment."""
    experiment = make_experiment()
    record(experiment, counts("control", 1, 0), counts("b", 1, 0))

    with CaptureQueriesContext(connection) as captured:
        record(experiment, counts("control", 2, 0), counts("b", 2, 0))

    statements = [query["sql"] for query in captured.captured_queries]
    if connection.vendor == "postgresql":
        assert len(statements) == 1
    else:
        assert statements.count("COMMIT") == 1
        assert statements[-1] == "COMMIT"
    assert Intake.objects.get(experiment=experiment).row_count == 4


def test_record_events__name_that_is_anothers_key__means_the_name() -> None:
    experiment = make_experiment()
    record(experiment, counts("control", 1, 0), counts("red", 1, 0))
    Variant.objects.filter(key="red").update(name="Old red")
    Variant.objects.filter(key="control").update(name="red")

    record(experiment, counts("red", 20, 2))

    assert DailyMetric.objects.get(variant__key="control").impressions == 20
    assert DailyMetric.objects.get(variant__key="red").impressions == 1


def test_record_batch__id_written_in_two_ways__is_one_experiment() -> None:
    experiment = make_experiment()
    rows = [(f"{experiment.pk}", counts("control", 9, 0)), (f"00{experiment.pk}", counts("b", 8, 0))]

    record_batch(rows=rows, today=TODAY, now=NOW)

    assert list(DailyMetric.objects.order_by("pk").values_list("impressions", flat=True)) == [9, 8]


def test_record_batch__one_experiment_takes_no_events__writes_to_none() -> None:
    running, done = make_experiment("Running"), make_experiment("Done")
    for experiment in (running, done):
        record(experiment, counts("control", 1, 0))
    Experiment.objects.filter(pk=done.pk).update(status=Status.COMPLETED)
    rows = [(str(experiment.pk), counts("control", 9, 0)) for experiment in (running, done)]

    with pytest.raises(StatusConflictError):
        record_batch(rows=rows, today=TODAY, now=NOW)

    assert set(DailyMetric.objects.values_list("impressions", flat=True)) == {1}
    assert set(Experiment.objects.values_list("data_version", flat=True)) == {1}


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(*(st.integers(0, 10),) * 3), min_size=1, max_size=6))
def test_record_events__any_counts__stored_exactly_or_not_at_all(
    given_counts: list[tuple[int, int, int]],
) -> None:
    experiment = make_experiment()
    rows = [counts(f"v{n}", *row) for n, row in enumerate(given_counts)]
    possible = all(i >= max(c, v) for i, c, v in given_counts)

    try:
        record(experiment, *rows)
    except InvalidRowsError:
        assert not possible

    stored = DailyMetric.objects.filter(variant__experiment=experiment).order_by("variant_id")
    expected = given_counts if possible else []
    assert list(stored.values_list("impressions", "clicks", "conversions")) == expected


def test_record_events__days_long_past_of_a_full_experiment__are_refused_but_for_corrections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A report reads all days: a million rows of one experiment would cost its readers a minute each time."""
    monkeypatch.setattr("experiments.ingestion.long_past.MOST_ROWS", 3)
    experiment = make_experiment()
    long_past, lately = TODAY - dt.timedelta(days=1001), TODAY - dt.timedelta(days=1000)
    record(experiment, *(counts(name, 10, 1, date=long_past) for name in ("control", "b", "c")))

    with pytest.raises(InvalidRowsError) as caught:
        record(
            experiment,
            counts("control", 20, 2, date=long_past),
            counts("b", 10, 1, date=long_past - dt.timedelta(days=1)),
        )
    record(experiment, counts("control", 20, 2, date=long_past), counts("d", 10, 1, date=lately))

    assert [(index, issue.code) for index, issue in caught.value.row_issues] == [(1, "too_many_days")]
    assert DailyMetric.objects.count() == 4


def test_record_events__days_long_past_that_still_fit_beside_corrections__are_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A row that corrects another is none more."""
    monkeypatch.setattr("experiments.ingestion.long_past.MOST_ROWS", 4)
    experiment = make_experiment()
    long_past = TODAY - dt.timedelta(days=1001)
    stored = [counts(name, 10, 1, date=long_past) for name in ("control", "b", "c")]
    record(experiment, *stored)

    record(experiment, *stored, counts("d", 10, 1, date=long_past))

    assert DailyMetric.objects.count() == 4
