"""A decision whose sources are as they were is found without reading the days."""

import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from allocation.ledger.statements import recorded_inputs
from allocation.models import Allocation
from allocation.services import compute_allocation, known_allocation
from experiments.models import Experiment, Status
from experiments.services import change_status, update_experiment
from notifications.events import EventKind
from notifications.models import Alarm
from tests.factory import NOW, TODAY, allocate, counts, make_running, record

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)


def _reads_days(experiment: Experiment) -> bool:
    """Decide, and tell whether the days were read for it."""
    with CaptureQueriesContext(connection) as queries:
        allocate(experiment)
    return any("m.clicks" in query["sql"] for query in queries)


def test_decision__nothing_new__reads_no_days() -> None:
    experiment = make_running()
    first = allocate(experiment)

    entry = compute_allocation(experiment_id=experiment.pk, target_date=TODAY, now=NOW)

    assert (entry.allocation, entry.is_new) == (first, False)
    assert not _reads_days(experiment)
    assert [share.variant.name for share in entry.shares] == ["control", "variant_b"]


def test_decision__new_counts__is_made_again() -> None:
    experiment = make_running()
    first = allocate(experiment)
    record(experiment, counts("control", 10_000, 990))

    assert allocate(experiment).revision == first.revision + 1


def test_decision__other_settings__is_made_again() -> None:
    experiment = make_running()
    first = allocate(experiment)
    update_experiment(experiment_id=experiment.pk, settings={"control_floor": 0.4}, now=NOW)

    assert allocate(experiment).revision == first.revision + 1


def test_decision__other_default_of_the_installation__is_made_again(settings: Settings) -> None:
    experiment = make_running()
    first = allocate(experiment)
    settings.ALGORITHM_DEFAULTS = {**settings.ALGORITHM_DEFAULTS, "control_floor": 0.4}

    assert allocate(experiment).revision == first.revision + 1


def test_decision__alarm_about_traffic_since__is_made_again() -> None:
    experiment = make_running()
    first = allocate(experiment)
    Alarm.objects.create(experiment=experiment, kind=EventKind.SAMPLE_RATIO_MISMATCH, raised_at=NOW)

    assert allocate(experiment).revision == first.revision + 1


def test_decision__the_one_before_it_was_made_again__follows_it() -> None:
    experiment = make_running()
    allocate(experiment, TODAY + DAY)
    planned = allocate(experiment, TODAY + 2 * DAY)
    record(experiment, counts("control", 10_000, 990))

    allocate(experiment, TODAY + DAY)

    last = Allocation.objects.filter(experiment=experiment, target_date=planned.target_date).latest(
        "revision"
    )
    assert last.revision == planned.revision + 1


def test_decision__written_without_a_basis__is_compared_by_its_inputs() -> None:
    experiment = make_running()
    first = allocate(experiment)
    Allocation.objects.update(basis=None)

    assert _reads_days(experiment)
    assert allocate(experiment) == first


def test_known_allocation__nothing_new__is_the_decision_with_its_inputs_without_a_lock() -> None:
    experiment = make_running()
    made = allocate(experiment)
    recorded = made.recorded_inputs

    shares = list(made.shares.order_by("variant_id"))

    with CaptureQueriesContext(connection) as queries:
        entry = known_allocation(experiment_id=experiment.pk, target_date=TODAY)
        assert entry is not None
        assert recorded_inputs(entry.allocation) == recorded
    assert entry.allocation == made
    assert list(entry.shares) == shares
    assert [share.variant.name for share in entry.shares] == ["control", "variant_b"]
    assert len(queries) == 2
    assert not any("FOR UPDATE" in query["sql"] or "BEGIN" in query["sql"] for query in queries)


def test_known_allocation__something_new_or_nothing_decided__is_none() -> None:
    experiment = make_running()
    assert known_allocation(experiment_id=experiment.pk, target_date=TODAY) is None

    allocate(experiment)
    assert known_allocation(experiment_id=experiment.pk, target_date=TODAY + DAY) is None
    assert known_allocation(experiment_id=0, target_date=TODAY) is None

    record(experiment, counts("control", 10_000, 990))
    assert known_allocation(experiment_id=experiment.pk, target_date=TODAY) is None


def test_known_allocation__paused__is_none() -> None:
    experiment = make_running()
    allocate(experiment)
    change_status(experiment_id=experiment.pk, to=Status.PAUSED, now=NOW)

    assert known_allocation(experiment_id=experiment.pk, target_date=TODAY) is None
