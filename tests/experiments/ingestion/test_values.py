"""Values of conversions: exact sums, their squares, single values and the cap; what a goal needs and refuses."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.exceptions import InvalidError, InvalidRowsError
from experiments.ingestion.record import record_batch, record_events
from experiments.metrics import DailyCounts, Reward
from experiments.models import DailyMetric, Experiment, Status
from experiments.services import update_experiment
from tests.factory import NOW, TODAY, counts, make_experiment, record

pytestmark = pytest.mark.django_db


def _valued(value_sum: str, value_squares: float, conversions: int = 2, name: str = "control") -> DailyCounts:
    return DailyCounts(TODAY, name, 100, 10, conversions, Decimal(value_sum), value_squares)


def _add(experiment: Experiment, row: DailyCounts, **options: Any) -> None:
    record_events(experiment_id=experiment.pk, rows=[row], today=TODAY, now=NOW, mode="add", **options)


def _add_singles(experiment: Experiment, row: DailyCounts, *values: str) -> int:
    recorded = record_batch(
        rows=[(experiment.key, row)],
        values={0: [Decimal(value) for value in values]},
        mode="add",
        today=TODAY,
        now=NOW,
    )
    return recorded.values_capped


def _stored() -> tuple[Any, ...]:
    return DailyMetric.objects.values_list("conversions", "value_sum", "value_squares").get()


def _refused(experiment: Experiment, *rows: DailyCounts) -> list[tuple[str, str, str]]:
    with pytest.raises(InvalidRowsError) as error:
        record(experiment, *rows)
    assert not DailyMetric.objects.exists()
    return [(issue.field, issue.code, issue.message) for _index, issue in error.value.row_issues]


def test_record_events__more_conversions_than_clicks__are_stored_where_the_goal_does_not_need_the_clicks() -> (
    None
):
    for reward in (goal for goal in Reward if goal is not Reward.CLICK_CONVERSION_RATE):
        experiment = make_experiment(str(reward), reward=reward)
        record(experiment, counts("control", 10, 2, 3))
        record(experiment, counts("control", 10, 2, 4))

        assert DailyMetric.objects.get(variant__experiment=experiment).conversions == 4


def test_record_events__conversions_per_click__refuses_more_conversions_than_clicks_and_says_why() -> None:
    experiment = make_experiment(reward=Reward.CLICK_CONVERSION_RATE)

    ((field, code, message),) = _refused(experiment, counts("a", 10, 3, 3), counts("control", 10, 2, 3))

    assert (field, code) == ("conversions", "too_many")
    assert message.startswith("conversions (3) exceed clicks (2), and the goal is conversions per click")


def test_record_batch__one_experiment_cannot_take_its_row__writes_to_none() -> None:
    fine, strict = make_experiment("Fine"), make_experiment("Strict", reward=Reward.CLICK_CONVERSION_RATE)
    for experiment in (fine, strict):
        record(experiment, counts("control", 9, 1))
    rows = [(experiment.key, counts("control", 10, 2, 3)) for experiment in (fine, strict)]

    with pytest.raises(InvalidRowsError, match="exceed clicks"):
        record_batch(rows=rows, today=TODAY, now=NOW)

    assert set(DailyMetric.objects.values_list("impressions", flat=True)) == {9}


def test_record_events__add__judges_the_days_total_and_not_each_addition() -> None:
    experiment = make_experiment(reward=Reward.CLICK_CONVERSION_RATE)
    record(experiment, counts("control", 10, 3, 1))

    _add(experiment, counts("control", 0, 0, 2))
    with pytest.raises(InvalidRowsError, match=r"conversions \(4\) exceed clicks \(3\)"):
        _add(experiment, counts("control", 0, 0, 1))
    with pytest.raises(InvalidRowsError, match=r"the day's total: clicks \(13\) must not exceed impressions"):
        _add(experiment, counts("control", 0, 10))

    assert DailyMetric.objects.values_list("impressions", "clicks", "conversions").get() == (10, 3, 3)


def test_update_experiment__goal_that_stored_rows_break__is_refused_with_the_first_of_them() -> None:
    experiment = make_experiment()
    record(experiment, counts("control", 100, 10, 12), counts("b", 100, 10, 10))
    Experiment.objects.update(status=Status.DRAFT)

    with pytest.raises(
        InvalidError, match=r"clicks: 1, the first on 2025-09-01 \(control: 12 and 10\)"
    ) as error:
        update_experiment(experiment_id=experiment.pk, now=NOW, reward=Reward.CLICK_CONVERSION_RATE)
    update_experiment(experiment_id=experiment.pk, now=NOW, reward=Reward.VALUE_PER_CLICK)

    assert [(issue.field, issue.code) for issue in error.value.issues] == [("reward", "rows_do_not_fit")]
    assert Experiment.objects.get().reward == "value_per_click"


def test_record_events__values_of_known_and_new_variants__are_stored_exactly() -> None:
    experiment = make_experiment()

    for value in ("0.1", "42.5", "99999999999.9999"):
        record(experiment, _valued(value, float(value) ** 2))

        assert _stored() == (2, Decimal(value), float(value) ** 2)


def test_record_events__largest_sum__is_stored_whole_or_refused_by_name() -> None:
    experiment, row = make_experiment(), _valued("999999999999999.9999", 1e30)

    if connection.vendor == "postgresql":
        record(experiment, row)
        assert _stored()[1] == Decimal("999999999999999.9999")
    else:
        ((field, code, message),) = _refused(experiment, row)
        assert (field, code) == ("value_sum", "too_precise")
        assert message.startswith("SQLite keeps 15 digits of a value; round 999999999999999.9999")


@pytest.mark.parametrize(
    ("row", "field", "code", "words"),
    [
        (_valued("42.5", 0), "value_squares", "required", "for 12.5 and 30 it is 1056.25"),
        (_valued("42.5", 903), "value_squares", "too_small", "2 values that add up to 42.5"),
        (
            _valued("3000", 9e7),
            "value_squares",
            "too_large",
            "add up to 3000 have squares that add up to 9000000",
        ),
        (_valued("0", 1), "value_squares", "too_large", "to 0 at most"),
        (_valued("-1", 1), "value_sum", "out_of_range", "must be from 0 to 1000000000000000, not -1"),
        (_valued("1", -1.0), "value_squares", "out_of_range", "must be from 0 to"),
        (_valued("1", float("nan")), "value_squares", "out_of_range", "not nan"),
        (_valued("1000000000000000.01", 1e30), "value_sum", "out_of_range", "must be from 0 to"),
        (
            _valued("0.12345", 1),
            "value_sum",
            "too_precise",
            "(0.12345) must have at most 4 decimal places; round it",
        ),
    ],
)
def test_record_events__impossible_value__names_the_field_and_the_fix(
    row: DailyCounts, field: str, code: str, words: str
) -> None:
    ((found, found_code, message),) = _refused(make_experiment(), row)

    assert (found, found_code) == (field, code)
    assert words in message


def test_record_events__equal_values__have_the_least_squares_that_are_taken() -> None:
    record(make_experiment(), _valued("42.5", 903.125))

    assert _stored() == (2, Decimal("42.5"), 903.125)


def test_record_events__a_single_value__has_the_most_squares_that_are_taken() -> None:
    record(make_experiment(), _valued("42.5", 1806.25))

    assert _stored() == (2, Decimal("42.5"), 1806.25)


@pytest.mark.parametrize(
    ("value_sum", "squares"),
    [
        ("33.33", 1110.89),
        ("33.3333", 33.333333**2),
        ("33.33", 33.333333**2),
        ("0.03", 0.034**2),
        ("1250", 1250.49**2),
        ("987654321.9876", 987654321.9876**2 * (1 + 1e-9)),
    ],
)
def test_record_events__a_single_value_that_was_rounded__is_taken(value_sum: str, squares: float) -> None:
    record(make_experiment(), _valued(value_sum, squares, conversions=1))

    assert _stored() == (1, Decimal(value_sum), squares)


def _with_squares_in_cents(experiment: Experiment) -> None:
    """Store what versions before took."""
    record(experiment, _valued("42.5", 1056.25))
    DailyMetric.objects.update(value_squares=9e7)


def test_record_events__counts_beside_stored_squares_that_are_too_large__are_taken() -> None:
    experiment = make_experiment()
    _with_squares_in_cents(experiment)

    record(experiment, counts("control", 200, 20, 2))

    assert (DailyMetric.objects.get().impressions, _stored()[2]) == (200, 9e7)


def test_record_events__added_to_stored_squares_that_are_too_large__is_taken() -> None:
    experiment = make_experiment()
    _with_squares_in_cents(experiment)

    _add(experiment, counts("control", 5, 1, 0))
    _add_singles(experiment, counts("control", 0, 0, 1), "10")

    assert (DailyMetric.objects.get().impressions, _stored()) == (105, (3, Decimal("52.5"), 9e7 + 100))


def test_record_events__added_squares_that_are_too_large__are_refused() -> None:
    experiment = make_experiment()
    record(experiment, _valued("42.5", 1056.25))

    with pytest.raises(InvalidRowsError) as error:
        _add(experiment, _valued("10", 1e6))

    ((_index, issue),) = error.value.row_issues
    assert (issue.code, issue.message[:16]) == ("too_large", "the day's total:")


def test_record_events__add__adds_both_sums_without_rounding() -> None:
    experiment = make_experiment()

    for _time in range(10):
        _add(experiment, _valued("0.1", 0.01, conversions=1))

    assert _stored()[:2] == (10, Decimal("1.0"))
    assert _stored()[2] == pytest.approx(0.1)


def test_record_batch__single_values__are_summed_and_squared() -> None:
    experiment = make_experiment()

    assert _add_singles(experiment, counts("control", 100, 10, 2), "12.5", "30") == 0
    assert _stored() == (2, Decimal("42.5"), 1056.25)

    _add_singles(experiment, counts("control", 0, 0, 3), "0.1", "0.2")
    assert _stored() == (5, Decimal("42.8"), pytest.approx(1056.30))


def test_record_batch__values_above_the_cap__are_cut_and_counted() -> None:
    experiment = make_experiment(value_cap=Decimal(20))

    assert _add_singles(experiment, counts("control", 100, 10, 3), "12.5", "30", "20") == 1

    assert _stored() == (3, Decimal("52.5"), 12.5**2 + 20**2 + 20**2)


@pytest.mark.parametrize(
    ("row", "mode", "field", "code"),
    [
        (counts("control", 100, 10, 2), "set", "values", "wrong_mode"),
        (_valued("42.5", 1056.25), "add", "values", "twice"),
        (counts("control", 100, 10, 1), "add", "conversions", "too_few"),
    ],
)
def test_record_batch__single_values_that_cannot_be__are_refused(
    row: DailyCounts, mode: Any, field: str, code: str
) -> None:
    experiment = make_experiment()

    with pytest.raises(InvalidRowsError) as error:
        record_batch(
            rows=[(experiment.key, row)],
            values={0: [Decimal(1), Decimal(2)]},
            mode=mode,
            today=TODAY,
            now=NOW,
        )

    assert [(issue.field, issue.code) for _index, issue in error.value.row_issues] == [(field, code)]
    assert not DailyMetric.objects.exists()


_AMOUNTS = st.decimals(0, 10**6, places=4)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_AMOUNTS, min_size=1, max_size=5), st.lists(_AMOUNTS, min_size=1, max_size=5))
def test_record_batch__any_values_in_two_calls__are_the_sums_of_all(
    one: list[Decimal], two: list[Decimal]
) -> None:
    experiment = make_experiment()

    for values in (one, two):
        _add_singles(experiment, counts("control", 100, 10, len(values)), *map(str, values))

    row = DailyMetric.objects.get(variant__experiment=experiment)
    assert (row.conversions, row.value_sum) == (len(one + two), sum(one + two))
    assert row.value_squares == pytest.approx(float(sum(value * value for value in one + two)))


def test_record_events__fixed_variants__refuses_new_names_with_those_that_are_known() -> None:
    experiment = make_experiment()
    record(experiment, counts("control", 10, 1), counts("blue", 10, 1))
    Experiment.objects.update(fixed_variants=True)

    record(experiment, counts("blue", 20, 2))
    with pytest.raises(
        InvalidRowsError, match="'blu' is not a variant here, and new ones are refused; known: control, blue"
    ) as error:
        record(experiment, counts("control", 20, 2), counts("blu", 10, 1))

    assert [(index, issue.code) for index, issue in error.value.row_issues] == [(1, "unknown_variant")]
    assert sorted(DailyMetric.objects.values_list("impressions", flat=True)) == [10, 20]


def test_record_events__no_values_given__those_stored_stay() -> None:
    experiment = make_experiment()
    record(experiment, _valued("42.50", 1056.25), _valued("7", 49, name="b"))

    # a row with values and one without, in one call and in two
    record(experiment, _valued("8", 64, name="b"), counts("control", 200, 20, 2))
    assert DailyMetric.objects.values_list("impressions", "value_sum", "value_squares").get(
        variant__name="control"
    ) == (200, Decimal("42.5"), 1056.25)
    record(experiment, counts("control", 300, 30, 2))
    record(experiment, _valued("0", 0.0, name="b"))

    rows = DailyMetric.objects.order_by("variant__name").values_list(
        "impressions", "value_sum", "value_squares"
    )
    assert list(rows) == [(100, Decimal(0), 0.0), (300, Decimal("42.5"), 1056.25)]


def test_record_events__counts_that_stored_values_do_not_fit__name_the_fix() -> None:
    experiment = make_experiment()
    record(experiment, _valued("20", 200.0, conversions=2))

    with pytest.raises(InvalidRowsError, match="is the stored one, as none is given: give the value, too"):
        record(experiment, counts("control", 100, 10, 1))

    assert _stored()[0] == 2
