"""The ledger computed again from what it recorded."""

import datetime as dt
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from allocation.demo import DemoExperiment, seed_demo
from allocation.ledger.verification import verify_ledger
from allocation.models import Allocation, AllocationShare
from allocation.services import complete_experiment
from tests.factory import NOW, TODAY, allocate, make_running

pytestmark = pytest.mark.django_db


def _differences() -> list[str]:
    return [difference for verified in verify_ledger() for difference in verified.differences]


def test_verify_ledger__months_of_decisions__all_follow_from_their_inputs() -> None:
    rates = {"control": 0.05, "b": 0.06, "late": 0.055}
    story = DemoExperiment("Story", "", 30, 2000, rates, joins={"late": 12})
    experiment = seed_demo(today=TODAY, now=NOW, seed=5, stories=[story])[0]
    retired = experiment.variants.get(name="b")
    retired.is_active = False
    retired.save()
    allocate(experiment, TODAY + dt.timedelta(days=1))
    complete_experiment(experiment_id=experiment.pk, target_date=TODAY + dt.timedelta(days=2), now=NOW)

    found = list(verify_ledger())

    assert len(found) == Allocation.objects.count() >= 31
    assert [v.differences for v in found if v.differences] == []
    assert not any(v.is_older for v in found)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("share", "0.3001", "control: share is recorded as 0.3001, computed as 0.3000"),
        ("bound", "none", "control: bound is recorded as none, computed as cap_down"),
        ("probability_best", 0.5, "control: probability_best is recorded as 0.5, computed as"),
    ],
)
def test_verify_ledger__share_that_was_changed__is_named(field: str, value: Any, said: str) -> None:
    allocation = allocate(make_running())
    control = allocation.shares.get(variant__is_control=True)
    AllocationShare.objects.filter(pk=control.pk).update(**{field: value})

    found = _differences()

    assert len(found) == 1
    assert found[0].startswith(said)


def test_verify_ledger__end_recorded_before_ends_explained_their_shares__is_compared_by_the_share() -> None:
    experiment = make_running()
    row = complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW)
    assert row is not None
    said_nothing = dict.fromkeys(("rate", "probability_best", "posterior_alpha", "missing_trials"))
    row.shares.update(trials=0, successes=0, **said_nothing)
    assert _differences() == []

    row.shares.filter(share=1).update(share="0.5")

    assert _differences() == ["control: share is recorded as 0.5000, computed as 1"]


def test_verify_ledger__inputs_that_were_changed__lose_their_digest() -> None:
    allocation = allocate(make_running())
    allocation.packed_inputs = allocation.recorded_inputs | {"earlier_impressions": 7}
    allocation.save()

    assert "the recorded inputs do not have the recorded digest" in _differences()


def test_verify_ledger__share_that_was_removed__is_missed() -> None:
    allocation = allocate(make_running())
    control = allocation.shares.get(variant__is_control=True)
    control.delete()

    assert _differences() == [f"variant {control.variant_id}: not recorded"]


def test_verify_ledger__row_of_another_engine__is_counted_apart() -> None:
    allocate(make_running())
    Allocation.objects.update(engine_version="0")
    out = StringIO()

    call_command("verify_ledger", stdout=out)

    assert out.getvalue() == "0 computed again, 0 differ, 1 are of another engine version.\n"


def test_verify_ledger_command__difference__is_printed_and_fails() -> None:
    allocate(make_running())
    AllocationShare.objects.filter(variant__is_control=True).update(share="0.2999")
    out = StringIO()

    with pytest.raises(CommandError):
        call_command("verify_ledger", stdout=out)

    assert "Button colour for 2025-09-01, revision 1: control: share is recorded as 0.2999" in out.getvalue()
