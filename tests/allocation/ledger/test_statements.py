"""Hand-written statements read and write what the ORM does."""

import datetime as dt
from decimal import Decimal

import pytest
from django.db import connection
from django.db.models import Model
from pytest_django import DjangoAssertNumQueries

from allocation.campaigns.undo import undo_completion
from allocation.ledger.days.reading import first_read
from allocation.ledger.statements import read_for_allocation, shares_of
from allocation.models import Allocation, AllocationShare
from allocation.selectors import experiments_for_allocation
from allocation.services import complete_experiment
from allocation.sweep import run_daily_sweep
from experiments.campaign.models import Guard, GuardAction
from experiments.database.rows import Columns, insert, rows_of, unsaved
from experiments.models import Experiment, Variant
from notifications.events import EventKind
from notifications.models import Alarm
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, make_running, record

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)
ANNOTATIONS = ("has_mismatch", "has_guards", "has_older_days", "next_decision")


def _seen(experiment: Experiment) -> dict[str, object]:
    own = {field.attname: getattr(experiment, field.attname) for field in Experiment._meta.concrete_fields}
    variants = [
        (v, v.experiment_id, v.key, v.name, v.is_control, v.is_active) for v in experiment.variants.all()
    ]
    assert all(type(variant.is_active) is bool for variant in experiment.variants.all())
    return own | {name: getattr(experiment, name) for name in ANNOTATIONS} | {"variants": variants}


def test_read_for_allocation__experiments_of_any_kind__are_as_the_orm_reads_them() -> None:
    empty, running, guarded = (
        make_experiment("Empty"),
        make_running("One"),
        make_running("Two", window_days=7),
    )
    record(running, counts("control", 10, 1, date=TODAY - 3 * DAY), counts("b", 0, 0, date=TODAY - DAY))
    Guard.objects.create(experiment=guarded, metric="conversion_rate", max_fall=5, action=GuardAction.TELL)
    Alarm.objects.create(experiment=guarded, kind=EventKind.SAMPLE_RATIO_MISMATCH, raised_at=NOW)
    old = make_running("Old")
    record(old, counts("b", 10, 1, date=TODAY - 455 * DAY))
    allocate(running)
    ids = [empty.pk, running.pk, guarded.pk, old.pk, 0]

    for date in (TODAY - 2 * DAY, TODAY, TODAY + DAY):
        read = read_for_allocation(ids, date, first_read(date)).experiments
        expected = experiments_for_allocation(date).in_bulk(ids)

        assert {pk: _seen(one) for pk, one in read.items()} == {
            pk: _seen(one) for pk, one in expected.items()
        }


def test_read_for_allocation__variants__cost_no_further_query(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    experiment = make_running()
    read = read_for_allocation([experiment.pk], TODAY, TODAY).experiments[experiment.pk]

    with django_assert_num_queries(0):
        assert [variant.experiment_id for variant in read.variants.all()] == [experiment.pk] * 2


def test_read_for_allocation__several_decisions_of_a_date__gives_the_last_one() -> None:
    experiment = make_running()
    allocate(experiment)
    record(experiment, counts("control", 10_000, 990))
    last = allocate(experiment)
    allocate(experiment, TODAY + DAY)

    found = read_for_allocation([experiment.pk, make_running().pk], TODAY, TODAY).latest

    assert found == {experiment.pk: last}
    assert found[experiment.pk].get_deferred_fields() == {"inputs", "packed_inputs"}
    assert shares_of(found.values())[last.pk] == list(last.shares.order_by("variant_id"))


def test_decision__after_an_end_that_was_undone__goes_on_from_the_split_before_it() -> None:
    experiment = make_running()
    before = allocate(experiment, TODAY - DAY)
    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW)
    undo_completion(experiment_id=experiment.pk, now=NOW)

    following = allocate(experiment, TODAY + DAY)

    last = Allocation.objects.filter(experiment=experiment, target_date=TODAY).latest("revision")
    in_force = {share.variant_id: share.share for share in last.shares.all()}
    assert {share.variant_id: share.previous_share for share in following.shares.all()} == in_force
    assert before.target_date < last.target_date


def test_insert__rows__are_stored_as_given_with_keys_in_order() -> None:
    experiment = make_experiment()
    new = [Variant(experiment=experiment, key=f"k{n}", name=f"N {n}", created_at=NOW) for n in range(5)]

    insert(new, batch_size=2)

    stored = list(Variant.objects.filter(key__startswith="k").order_by("pk"))
    assert [(v.pk, v.key, v.name, v.created_at) for v in stored] == [
        (v.pk, v.key, v.name, v.created_at) for v in new
    ]


def test_sweep__new_date_in_the_ledger__is_in_the_planners_statistics() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite's planner does not ask")
    make_running()

    run_daily_sweep(target_date=TODAY, now=NOW)

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stats WHERE tablename = 'allocation_allocation'")
        assert cursor.fetchone()[0] > 0


def _held(instance: Model) -> dict[str, object]:
    return {name: value for name, value in vars(instance).items() if name != "_state"}


def test_unsaved__values_of_some_columns__is_what_the_constructor_makes() -> None:
    given = {"allocation_id": 1, "variant_id": 2, "share": Decimal("0.25"), "rate": 0.5}

    made, expected = unsaved(AllocationShare, **given), AllocationShare(**given)

    assert _held(made) == _held(expected)
    assert (made._state.adding, made._state.db) == (True, None)


def test_columns__row_of_the_database__is_the_instance_that_the_orm_makes() -> None:
    decision = allocate(make_running())
    columns = Columns(Allocation, "a", without=("inputs", "packed_inputs"))
    sql = f"SELECT {columns.sql} FROM allocation_allocation a"  # noqa: S608

    made, expected = columns.instance(rows_of(sql, [])[0]), Allocation.objects.without_inputs().get()

    assert made.get_deferred_fields() == expected.get_deferred_fields()
    assert _held(made) == _held(expected)
    assert (made._state.adding, made._state.db) == (False, "default")
    assert made.recorded_inputs == decision.recorded_inputs
