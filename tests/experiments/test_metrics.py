"""The tables of counts and goals drive choices, labels, trials, successes and the nesting of counts."""

from dataclasses import fields

import numpy as np
import pytest
from django.db import models
from django.utils import translation

from experiments.metrics import (
    COUNT_NAMES,
    COUNTS,
    HIGHEST_COUNT,
    NO_COUNTS,
    Counts,
    DailyCounts,
    Reward,
    nesting_condition,
    nesting_problems,
)
from experiments.models import DailyMetric, Experiment

pytestmark = pytest.mark.database_free

ROW = Counts(1000, 100, 10)


def test_counts__table__names_the_fields_of_every_row() -> None:
    assert Counts._fields == COUNT_NAMES
    assert tuple(field.name for field in fields(DailyCounts))[2:] == COUNT_NAMES
    columns = [field.name for field in DailyMetric._meta.fields]
    assert [name for name in columns if name in COUNT_NAMES] == list(COUNT_NAMES)
    assert NO_COUNTS == (0, 0, 0)


def test_counts__optional__has_a_default_in_the_row() -> None:
    required = [count.name for count in COUNTS if not count.optional]

    assert [field.name for field in fields(DailyCounts) if field.default != 0][2:] == required


@pytest.mark.parametrize("reward", Reward)
def test_reward__any__is_a_ratio_of_two_counts_of_the_table(reward: Reward) -> None:
    assert reward.trials_count in COUNTS
    assert reward.successes_count in COUNTS
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
        (Reward.CTR, "Clicks per impression", "Clicks", 1000, 100),
        (Reward.CONVERSION_RATE, "Conversions per impression", "Conversions", 1000, 10),
        (Reward.CLICK_CONVERSION_RATE, "Conversions per click", "Conversions", 100, 10),
    ],
)
def test_reward__each__has_label_unit_trials_and_successes(
    reward: Reward, label: str, unit: str, trials: int, successes: int
) -> None:
    with translation.override("en"):
        assert (str(reward.label), str(reward.successes_count.label)) == (label, unit)
    assert (reward.trials(ROW), reward.successes(ROW)) == (trials, successes)


def test_reward__arrays_and_columns__are_read_as_rows_are() -> None:
    table = Counts(*(np.full((2, 3), number) for number in ROW))
    columns = Counts(*map(models.F, COUNT_NAMES))

    assert Reward.CTR.successes(table).sum() == 600
    assert Reward.CLICK_CONVERSION_RATE.trials(columns) == models.F("clicks")


@pytest.mark.parametrize(
    ("counts", "problems"),
    [
        (Counts(10, 10, 10), []),
        (Counts(10, 11, 3), [("clicks", "clicks (11) must not exceed impressions (10)")]),
        (Counts(10, 3, 4), [("conversions", "conversions (4) must not exceed clicks (3)")]),
    ],
)
def test_nesting_problems__each_rule__names_the_count_and_both_numbers(
    counts: Counts[int], problems: list[tuple[str, str]]
) -> None:
    with translation.override("en"):
        assert list(nesting_problems(counts)) == problems


def test_nesting_condition__table__is_the_check_of_the_database() -> None:
    assert nesting_condition() == models.Q(
        ("conversions__gte", 0),
        ("conversions__lte", models.F("clicks")),
        ("clicks__lte", models.F("impressions")),
        ("impressions__lte", HIGHEST_COUNT),
    )
