"""The tables of counts and goals drive choices, labels, trials, successes and the nesting of counts."""

from decimal import Decimal

import numpy as np
import pytest
from django.db import models
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from experiments.metrics import (
    COUNT_NAMES,
    COUNTS,
    HIGHEST_COUNT,
    MEASURE_NAMES,
    MEASURES,
    NO_COUNTS,
    NO_TOTALS,
    VALUES,
    Counts,
    DailyCounts,
    DayTotals,
    Measures,
    Reward,
    fewest_squares,
    most_squares,
    nesting_condition,
    nesting_problems,
)
from experiments.models import DailyMetric, Experiment

ONCE = ": count at most one for each impression, on the impression's day"

pytestmark = pytest.mark.database_free

ROW = Measures(1000, 100, 10, 250, 10_000)


def test_measures__table__names_the_fields_of_every_row() -> None:
    assert Counts._fields == COUNT_NAMES
    assert list(MEASURE_NAMES) == list(Measures._fields) == list(DayTotals._fields)
    assert list(DailyCounts._fields) == ["date", "variant_name", *MEASURE_NAMES]
    columns = [field.name for field in DailyMetric._meta.fields]
    assert [name for name in columns if name in MEASURE_NAMES] == list(MEASURE_NAMES)
    assert NO_COUNTS == (0, 0, 0)
    assert tuple(NO_TOTALS) == (0, 0, 0, 0, 0)


def test_measures__optional__counts_are_0_in_the_row_and_values_not_given() -> None:
    assert DailyCounts._field_defaults == {"conversions": 0, "value_sum": None, "value_squares": None}


@pytest.mark.parametrize(
    ("name", "text", "number"),
    [("clicks", "7", 7), ("value_sum", "12.3450", Decimal("12.345")), ("value_squares", "1e3", 1000.0)],
)
def test_measure__each_kind__reads_its_own_numbers(name: str, text: str, number: object) -> None:
    measure = MEASURES[MEASURE_NAMES.index(name)]

    assert measure.parse(text) == number
    assert type(measure.parse(text)) is type(number) is type(measure.zero)


@pytest.mark.parametrize("reward", Reward)
def test_reward__any__is_a_ratio_of_two_measures_of_the_table(reward: Reward) -> None:
    assert reward.trials_count in COUNTS
    assert reward.successes_count in MEASURES
    assert reward.is_value == (reward.successes_count in VALUES)
    assert reward.trials(ROW) == getattr(ROW, reward.trials_count.name)
    assert reward.successes(ROW) == getattr(ROW, reward.successes_count.name)


def test_reward__table__drives_choices_and_constraint_of_the_model() -> None:
    field = Experiment._meta.get_field("reward")
    known = next(c for c in Experiment._meta.constraints if c.name == "experiment_reward_known")

    assert isinstance(field, models.CharField)
    assert field.choices == Reward.choices
    assert isinstance(known, models.CheckConstraint)
    assert known.condition == models.Q(reward__in=Reward.values)


@pytest.mark.parametrize(
    ("reward", "label", "unit", "trials", "successes"),
    [
        (Reward.CTR, "Click-through rate (CTR)", "Clicks", 1000, 100),
        (Reward.CONVERSION_RATE, "Conversion rate", "Conversions", 1000, 10),
        (Reward.CLICK_CONVERSION_RATE, "Post-click conversion rate", "Conversions", 100, 10),
        (Reward.VALUE_PER_IMPRESSION, "Value per impression", "Value", 1000, 250),
        (Reward.VALUE_PER_CLICK, "Value per click", "Value", 100, 250),
    ],
)
def test_reward__each__has_label_unit_trials_and_successes(
    reward: Reward, label: str, unit: str, trials: int, successes: int
) -> None:
    with translation.override("en"):
        assert (str(reward.label), str(reward.successes_count.label)) == (label, unit)
    assert (reward.trials(ROW), reward.successes(ROW)) == (trials, successes)


def test_reward__squares__are_those_of_the_values_or_one_for_each_success() -> None:
    assert Reward.VALUE_PER_CLICK.squares(ROW) == 10_000
    assert Reward.CONVERSION_RATE.squares(ROW) == 10


def test_reward__problem__only_conversions_per_click_refuses_more_conversions_than_clicks() -> None:
    with translation.override("en"):
        found = {reward: reward.problem(Counts(1000, 10, 12)) for reward in Reward}

    assert [reward for reward, problem in found.items() if problem] == [Reward.CLICK_CONVERSION_RATE]
    field, message = found[Reward.CLICK_CONVERSION_RATE] or ("", "")
    assert field == "conversions"
    assert message.startswith(
        "conversions (12) exceed clicks (10), and the goal is conversions per click: count one"
    )


@pytest.mark.parametrize(
    ("value_sum", "conversions", "fewest"), [("0", 5, 0), ("20", 2, 200), ("20", 1, 400), ("20", 0, 400)]
)
def test_fewest_squares__so_many_equal_values__have_the_least(
    value_sum: str, conversions: int, fewest: float
) -> None:
    assert fewest_squares(Decimal(value_sum), conversions) == pytest.approx(fewest, rel=2e-9)


@given(st.lists(st.decimals(0, 10**6, places=4), min_size=1, max_size=30))
def test_most_and_fewest_squares__any_values__hold_theirs(values: list[Decimal]) -> None:
    total, squares = sum(values, Decimal(0)), float(sum(value * value for value in values))

    assert fewest_squares(total, len(values)) <= squares <= most_squares(total)


def test_reward__arrays_and_columns__are_read_as_rows_are() -> None:
    table = Measures(*(np.full((2, 3), number) for number in ROW))
    columns = Measures(*map(models.F, MEASURE_NAMES))

    assert Reward.CTR.successes(table).sum() == 600
    assert Reward.CLICK_CONVERSION_RATE.trials(columns) == models.F("clicks")


@pytest.mark.parametrize(
    ("counts", "problems"),
    [
        (Counts(10, 10, 10), []),
        (
            Counts(10, 11, 3),
            [
                (
                    "clicks",
                    "clicks (11) must not exceed impressions (10)" + ONCE,
                )
            ],
        ),
        (Counts(10, 3, 4), []),
        (
            Counts(10, 3, 11),
            [
                (
                    "conversions",
                    "conversions (11) must not exceed impressions (10)" + ONCE,
                )
            ],
        ),
    ],
)
def test_nesting_problems__each_rule__names_the_count_and_both_numbers(
    counts: Counts[int], problems: list[tuple[str, str]]
) -> None:
    with translation.override("en"):
        assert nesting_problems(counts) == problems


def test_nesting_condition__table__is_the_check_of_the_database() -> None:
    assert nesting_condition() == models.Q(
        ("clicks__gte", 0),
        ("conversions__gte", 0),
        ("clicks__lte", models.F("impressions")),
        ("conversions__lte", models.F("impressions")),
        ("impressions__lte", HIGHEST_COUNT),
    )
