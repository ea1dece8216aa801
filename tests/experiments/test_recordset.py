"""Rows that are written in one statement in place of those that there are, each value as it was."""

import datetime as dt

import pytest

from allocation.models import ClosedTraffic, SweepMark
from experiments.database.recordset import upsert
from tests.factory import NOW, TODAY, make_experiment

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]


def _closed(experiment_id: int, days: int, sums: bytes) -> ClosedTraffic:
    return ClosedTraffic(
        experiment_id=experiment_id, through=TODAY, decision=0, days=days, compared_days=1, sums=sums
    )


def test_upsert__bytes_of_every_kind__are_stored_as_they_are() -> None:
    first, second = make_experiment("First").pk, make_experiment("Second").pk
    upsert([_closed(first, 3, b"")])

    upsert([_closed(first, 4, bytes(range(256))), _closed(second, 2**31 - 1, b"\x00")])

    stored = {
        row.experiment_id: (row.days, bytes(row.sums), row.through) for row in ClosedTraffic.objects.all()
    }
    assert stored == {first: (4, bytes(range(256)), TODAY), second: (2**31 - 1, b"\x00", TODAY)}


def test_upsert__time_number_and_text__are_stored_to_the_last_digit() -> None:
    experiment = make_experiment()
    at = NOW.replace(microsecond=123_457).astimezone(dt.timezone(dt.timedelta(hours=-3)))

    upsert([SweepMark(experiment=experiment, target_date=TODAY, data_version=2**62 + 1, changed_at=at,
                      decision=2**62 + 3, mismatch=True, rules='"\\%s')])  # fmt: skip

    stored = SweepMark.objects.get()
    assert (stored.changed_at, stored.data_version, stored.decision) == (at, 2**62 + 1, 2**62 + 3)
    assert (stored.mismatch, stored.rules, stored.target_date) == (True, '"\\%s', TODAY)


def test_upsert__nothing__writes_nothing() -> None:
    upsert([])

    assert not SweepMark.objects.exists()
