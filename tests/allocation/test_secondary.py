"""The other metrics of an experiment's data."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from allocation.statistics.experiment import Statistics, experiment_statistics
from allocation.statistics.secondary import SecondaryMetric
from experiments.metrics import Reward
from experiments.models import Experiment
from tests.factory import TODAY, counts, make_experiment, record

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)


def make_two(**fields: Any) -> Experiment:
    """Twenty days of 1,000 visitors each: b has a fifth more clicks and half the conversions."""
    experiment = make_experiment(**fields)
    for n in range(1, 21):
        date = TODAY - n * DAY
        record(experiment, counts("control", 1000, 100, 50, date=date), counts("b", 1000, 120, 25, date=date))
    return experiment


def statistics_of(experiment: Experiment) -> Statistics:
    return experiment_statistics(experiment.pk, TODAY)


def by_metric(statistics: Statistics) -> dict[str, SecondaryMetric]:
    return {found.metric.value: found for found in statistics.secondary}


def test_secondary__clicks_are_the_goal__shows_conversions_of_views_and_of_clicks() -> None:
    found = by_metric(statistics_of(make_two()))

    assert list(found) == ["conversion_rate", "click_conversion_rate"]
    control, b = found["conversion_rate"].variants
    assert (b.trials, b.successes) == (20_000, 500)
    # the prior, one success at the pooled rate, moves the rate of 2.5% by next to nothing
    assert b.rate == pytest.approx(0.025, rel=2e-3)
    assert b.uplift == pytest.approx(-0.5, abs=2e-3)
    assert b.uplift_low is not None
    assert b.uplift_high is not None
    assert b.uplift_low < -0.5 < b.uplift_high < 0
    assert b.uplift_always_valid is not None
    assert b.uplift_always_valid.low is not None
    assert b.uplift_always_valid.high is not None
    # what may be looked at every day is wider
    assert b.uplift_always_valid.low < b.uplift_low
    assert b.uplift_high < b.uplift_always_valid.high < 0
    assert (control.uplift, control.uplift_always_valid) == (None, None)
    # 500 of 2,400 clicks instead of 1,000 of 2,000
    assert found["click_conversion_rate"].variants[1].uplift == pytest.approx(500 / 2400 / 0.5 - 1, abs=2e-3)


def test_secondary__as_the_goal_of_another_experiment__has_the_same_numbers() -> None:
    other = make_two(name="Other", reward=Reward.CONVERSION_RATE)

    secondary = by_metric(statistics_of(make_two()))["conversion_rate"].variants[1]

    goal = statistics_of(other).variants[1]
    for name in ("rate", "rate_low", "rate_high", "uplift", "uplift_low", "uplift_high", "enough_data"):
        assert getattr(secondary, name) == getattr(goal, name)
    assert secondary.uplift_always_valid == goal.uplift_always_valid


def test_secondary__a_prior_of_its_own__belongs_to_the_goal_alone() -> None:
    plain = statistics_of(make_two())
    with_prior = statistics_of(make_two(name="Other", alpha_prior=500.0, beta_prior=5000.0))

    assert with_prior.variants[1].rate != plain.variants[1].rate
    assert [replace(metric) for metric in with_prior.secondary] == plain.secondary


def test_secondary__no_conversions_reported__shows_none() -> None:
    experiment = make_experiment()
    record(experiment, counts("control", 1000, 50), counts("b", 1000, 60))

    assert statistics_of(experiment).secondary == []


def test_secondary__conversions_beyond_clicks__leave_conversions_of_clicks_out() -> None:
    experiment = make_two()
    record(experiment, counts("b", 1000, 10, 20, date=TODAY))

    assert list(by_metric(statistics_of(experiment))) == ["conversion_rate"]


def test_secondary__a_short_window__bounds_the_rates_and_not_the_interval_for_every_day() -> None:
    narrow, wide = make_two(window_days=2), make_two(name="Other")

    b, all_days = (by_metric(statistics_of(one))["conversion_rate"].variants[1] for one in (narrow, wide))

    assert b.trials == 2000
    assert b.uplift_always_valid == all_days.uplift_always_valid


def test_secondary__values_reported__shows_value_per_visitor_as_a_goal_of_value_would() -> None:
    experiments = [make_two(), make_two(name="Other", reward=Reward.VALUE_PER_IMPRESSION)]
    for experiment in experiments:
        for n in range(1, 21):
            date = TODAY - n * DAY
            record(
                experiment,
                counts("control", 1000, 100, 50, date=date)._replace(
                    value_sum=Decimal(1000), value_squares=30_000.0
                ),
                counts("b", 1000, 120, 25, date=date)._replace(
                    value_sum=Decimal(500), value_squares=15_000.0
                ),
            )

    secondary = by_metric(statistics_of(experiments[0]))["value_per_impression"].variants[1]
    goal = statistics_of(experiments[1]).variants[1]

    assert (secondary.trials, secondary.successes) == (20_000, 500)
    assert secondary.rate == pytest.approx(0.5, rel=5e-3)
    for name in ("rate", "rate_low", "rate_high", "uplift", "uplift_low", "uplift_high"):
        assert getattr(secondary, name) == pytest.approx(getattr(goal, name), rel=1e-9)
    assert secondary.uplift_always_valid is not None
    assert goal.uplift_always_valid is not None
    assert secondary.uplift_always_valid.high == pytest.approx(goal.uplift_always_valid.high, rel=1e-9)
