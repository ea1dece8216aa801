"""The sums above the list of experiments: impressions and gains of a week."""

import datetime as dt

import pytest

from allocation.models import Allocation
from dashboard.experiment_list.totals import totals
from experiments.models import Status
from experiments.services import change_status
from tests.factory import NOW, TODAY, allocate, counts, make_running, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]


def test_totals__seven_days_of_a_running_experiment__gains_over_an_even_split() -> None:
    experiment = make_running()
    paused = make_running("Other")
    change_status(experiment_id=paused.pk, to=Status.PAUSED, now=NOW)
    allocate(experiment, TODAY - dt.timedelta(days=1))
    record(experiment, counts("control", 1000, 70), counts("variant_b", 3000, 285))
    allocate(experiment)

    found = totals(2, TODAY)

    # 1,000 of the day's 4,000 impressions more than even went to variant_b; the prior is a success at 355 in 4,000
    control, variant_b = 71 / (1000 + 4000 / 355), 286 / (3000 + 4000 / 355)
    assert found.impressions == 4000
    gains = {count.name: gain for count, gain in found.gains}
    assert gains == {"clicks": pytest.approx(1000 * (variant_b - control)), "conversions": 0}


def test_totals__days_before_the_first_decision__are_no_gain_of_the_week() -> None:
    experiment = make_running()
    record(experiment, counts("control", 20_000, 1400), counts("variant_b", 200, 18))
    allocate(experiment)

    assert (Allocation.objects.get().gained_over_even or 0) < -100
    assert {gain for _count, gain in totals(1, TODAY).gains} == {0}


def test_totals__no_gain_recorded_a_week_ago__is_left_out() -> None:
    experiment = make_running()
    record(experiment, counts("control", 1000, 70), counts("variant_b", 3000, 285))
    allocate(experiment, TODAY - dt.timedelta(days=7))
    Allocation.objects.update(gained_over_even=None)
    allocate(experiment)

    assert {gain for _count, gain in totals(1, TODAY).gains} == {0}


def test_totals__many_experiments__are_kept_for_a_minute() -> None:
    experiment = make_running()
    before = totals(500, TODAY)
    record(experiment, counts("control", 1000, 70))

    assert totals(500, TODAY) == before
    # 10,000 of variant_b beside them
    assert totals(499, TODAY).impressions == 11_000
