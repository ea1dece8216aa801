"""Completing an experiment: the winner has all traffic at once."""

import datetime as dt

import pytest

from allocation.exceptions import NoActiveVariantError
from allocation.models import Allocation
from allocation.selectors import (
    allocation_in_force,
)
from allocation.services import complete_experiment
from experiments.exceptions import InvalidError
from experiments.models import Status, Variant
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, make_running, record, shares_of

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)


def test_complete_experiment__computed_already_today__the_winner_has_all_traffic_at_once() -> None:
    experiment = make_running()
    allocate(experiment)
    control = experiment.variants.get(name="control")

    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW, winner_id=control.pk)

    in_force = allocation_in_force(experiment, TODAY)
    assert (in_force.revision, shares_of(in_force)) == (2, {"control": 1.0, "variant_b": 0.0})
    assert in_force.window_impressions == 20000


def test_complete_experiment__data_newer_than_the_last_decision__are_part_of_what_the_end_explains() -> None:
    experiment = make_running()
    allocate(experiment)
    record(experiment, counts("control", 20000, 1400), counts("variant_b", 20000, 1900))

    row = complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW)

    assert row is not None
    control, better = row.shares.order_by("variant_id")
    assert (control.trials, control.successes, better.trials, better.successes) == (20000, 1400, 20000, 1900)
    assert better.rate == pytest.approx(0.095, abs=1e-4)
    assert better.probability_best == pytest.approx(1, abs=1e-9)
    assert float(control.share) == 1
    assert control.bound == "none"
    assert control.target is None
    assert control.previous_share is None


def test_complete_experiment__immature_days__the_row_shows_the_window_that_counted() -> None:
    experiment = make_running(window_days=3, maturity_days=2)
    for age in range(1, 9):
        record(experiment, counts("control", 100, 10, date=TODAY - age * DAY))

    row = complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW)

    assert row is not None
    assert (row.window_start, row.window_end, row.data_through) == (
        TODAY - 4 * DAY, TODAY - 2 * DAY, TODAY - 2 * DAY,
    )  # fmt: skip
    assert (row.window_impressions, row.window_clicks) == (300, 30)


def test_complete_experiment__retired_winner__is_refused_and_nothing_changes() -> None:
    experiment = make_running()
    Variant.objects.filter(name="variant_b").update(is_active=False)
    retired = experiment.variants.get(name="variant_b")

    with pytest.raises(InvalidError, match="winner: 'variant_b' is inactive; reactivate it first"):
        complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW, winner_id=retired.pk)

    experiment.refresh_from_db()
    assert (experiment.status, experiment.winner) == (Status.ACTIVE, None)
    assert not Allocation.objects.exists()


def test_complete_experiment__all_variants_retired__is_a_conflict_and_nothing_changes() -> None:
    experiment = make_running()
    experiment.variants.update(is_control=False, is_active=False)

    with pytest.raises(NoActiveVariantError, match="reactivate one"):
        complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW)

    experiment.refresh_from_db()
    assert experiment.status == Status.ACTIVE


def test_complete_experiment__no_control_and_no_winner__the_first_active_variant_has_all_traffic() -> None:
    experiment = make_running()
    experiment.variants.update(is_control=False)
    experiment.variants.filter(name="control").update(is_active=False)

    row = complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW)

    assert row is not None
    assert shares_of(row) == {"control": 0, "variant_b": 1}


def test_complete_experiment__no_variant_yet__records_nothing() -> None:
    experiment = make_experiment()

    assert complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW) is None

    experiment.refresh_from_db()
    assert experiment.status == Status.COMPLETED
