"""Gains over an even split: each day is priced once."""

import datetime as dt

import pytest

from allocation.models import Allocation
from allocation.services import complete_experiment
from allocation.statistics.experiment import experiment_statistics
from experiments.models import Experiment
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, record

pytestmark = pytest.mark.django_db


def serve(experiment: Experiment, age: int, part: float = 1.0) -> None:
    """Report a day on which b, which is better by 0.03, got three times the control's traffic."""
    day = TODAY - dt.timedelta(days=age)
    whole = (1000, 50), (3000, 240)
    rows = [(int(part * trials), int(part * clicks)) for trials, clicks in whole]
    record(experiment, counts("control", *rows[0], date=day), counts("b", *rows[1], date=day))


def test_gains__day_decided_on_in_part__is_priced_whole_once_the_rest_arrives() -> None:
    late, whole = make_experiment("Late"), make_experiment("Whole")
    serve(late, 1, part=0.5)
    allocate(late, TODAY - dt.timedelta(days=1))
    serve(late, 1)
    serve(whole, 1)

    # 1,000 more than even, 0.03 each
    assert allocate(late).gained_over_even == pytest.approx(30, abs=1)
    assert allocate(late).given_up == pytest.approx(allocate(whole).given_up, rel=0.02)


def test_gains__day_that_arrives_late__is_priced_when_it_does() -> None:
    experiment = make_experiment()
    for age in (5, 4, 2, 1):
        serve(experiment, age)
        allocate(experiment, TODAY - dt.timedelta(days=age - 1))
    serve(experiment, 3)

    allocation = allocate(experiment)

    assert allocation.gained_over_even == pytest.approx(5 * 30, abs=2)
    assert list(allocation.recorded_inputs["gains"]["open"].values()) == [[0, 0], [0, 0]]
    assert allocate(experiment, TODAY + dt.timedelta(days=1)).recorded_inputs["gains"]["open"] == {}


@pytest.mark.parametrize("decided", [True, False])
def test_gains__completing__prices_the_days_since_the_last_decision(decided: bool) -> None:
    experiment = make_experiment()
    for age in (4, 3, 2, 1):
        serve(experiment, age)
        if decided and age == 3:
            allocate(experiment, TODAY - dt.timedelta(days=2))

    winner = experiment.variants.get(name="b").pk
    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW, winner_id=winner)
    again = allocate(experiment, TODAY + dt.timedelta(days=1))

    rewards = experiment_statistics(experiment.pk, TODAY).rewards
    assert rewards.gained_over_even == again.gained_over_even == pytest.approx(4 * 30, abs=2)
    assert rewards.gained_low < rewards.gained_over_even < rewards.gained_high


def test_gains__completed_before_anything_was_priced__are_computed_not_0() -> None:
    experiment = make_experiment()
    for age in (2, 1):
        serve(experiment, age)
    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW)
    Allocation.objects.update(gained_over_even=0, given_up=0, gain_error=0)

    assert experiment_statistics(experiment.pk, TODAY).rewards.gained_over_even == pytest.approx(60, abs=1)
    Allocation.objects.update(engine_version="1", gained_over_even=None, given_up=None, gain_error=None)
    assert experiment_statistics(experiment.pk, TODAY).rewards.gained_over_even == pytest.approx(60, abs=1)
