"""A chunk as workers are asked for it, by messages that others might write."""

import datetime as dt

import pytest

from allocation.models import Allocation
from allocation.sweep.spread import sweep_ids
from tests.factory import NOW, TODAY, make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]


def test_sweep_ids__of_today__decides_and_answers_in_plain_data() -> None:
    experiment = make_running()

    answer = sweep_ids([experiment.pk], TODAY.isoformat(), NOW.isoformat())

    assert [one["experiment_id"] for one in answer["experiments"]] == [experiment.pk]
    assert Allocation.objects.get().target_date == TODAY


@pytest.mark.parametrize(
    ("days_of_date", "days_of_now"), [(2, 0), (-2, 0), (365 * 100, 0), (0, 2), (0, -365)]
)
def test_sweep_ids__of_another_day__is_refused_and_decides_nothing(
    days_of_date: int, days_of_now: int
) -> None:
    """A decision for another century would have every other refused: a later one stands."""
    date, now = TODAY + dt.timedelta(days=days_of_date), NOW + dt.timedelta(days=days_of_now)

    with pytest.raises(ValueError, match="not about today"):
        sweep_ids([make_running().pk], date.isoformat(), now.isoformat())

    assert not Allocation.objects.exists()
