"""The decision before is read once a day, and what is remembered of it is what would be read."""

import datetime as dt

import pytest
from pytest_django import DjangoAssertNumQueries

from allocation.ledger import before
from allocation.ledger.before import Before, decisions_before, recorded_window
from allocation.ledger.inputs import AllocationInputs
from allocation.ledger.statements import read_for_allocation
from allocation.models import Allocation, AllocationShare
from allocation.packing import pack, unpack, unpack_until
from experiments.metrics import Reward
from experiments.models import Experiment
from tests.factory import TODAY, allocate, counts, make_running, record

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)


def _read(experiment: Experiment) -> Before:
    read = read_for_allocation([experiment.pk], TODAY, TODAY).experiments[experiment.pk]
    return decisions_before([read], TODAY)[experiment.pk]


def test_decisions_before__asked_again__is_remembered(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    experiment = make_running()
    allocate(experiment, TODAY - DAY)
    first = _read(experiment)

    with django_assert_num_queries(1):  # the experiment
        again = _read(experiment)

    before.forget()
    assert again == first == _read(experiment)


def test_decisions_before__other_inputs_under_its_id__are_read() -> None:
    """An id that was rolled back, or is not in a backup that was restored, may come again on another decision."""
    experiment = make_running()
    allocate(experiment, TODAY - DAY)
    _read(experiment)
    AllocationShare.objects.update(share=0.25)
    Allocation.objects.update(inputs_digest="another")

    assert set(_read(experiment).shares.values()) == {0.25}


def test_decisions_before__too_many__forgets_those_that_came_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(before, "_MOST", 1)
    one, other = make_running("One"), make_running("Other")
    for experiment in (one, other):
        allocate(experiment, TODAY - DAY)
        _read(experiment)
    AllocationShare.objects.update(share=0.25)

    assert set(_read(other).shares.values()) != {0.25}
    assert set(_read(one).shares.values()) == {0.25}


@pytest.mark.parametrize("change", ["nothing", "data", "variant"])
def test_decision__on_one_that_is_remembered__is_that_on_one_that_is_read(change: str) -> None:
    experiment = make_running()
    allocate(experiment, TODAY - DAY)
    record(experiment, counts("control", 5000, 400))
    allocate(experiment)
    if change == "variant":
        record(experiment, counts("newcomer", 100, 10, date=TODAY - DAY))
    elif change == "data":
        record(experiment, counts("control", 5001, 400), counts("control", 999, 90, date=TODAY - DAY))

    remembered = allocate(experiment)
    Allocation.objects.update(basis=None)
    before.forget()
    read = allocate(experiment)

    assert read.pk == remembered.pk  # equal inputs make no new entry


@pytest.mark.parametrize("reward", Reward)
@pytest.mark.parametrize(("window_days", "maturity_days"), [(None, 0), (5, 0), (None, 3)])
def test_recorded_window__any_goal__is_that_of_the_recorded_request(
    reward: Reward, window_days: int | None, maturity_days: int
) -> None:
    experiment = make_running(window_days=window_days, maturity_days=maturity_days)
    for age in (12, 9, 8, 6, 5, 3, 2, 1):
        day = TODAY - age * DAY
        record(
            experiment,
            counts("control", 900 + age, 40 + age, age, day),
            counts("variant_b", 800, 50, age, day),
        )
    packed = pack(allocate(experiment, TODAY).recorded_inputs)
    whole = AllocationInputs.from_json({**unpack(packed), "reward": reward}, experiment.pk)
    expected = whole.to_request().window()

    window = recorded_window(unpack_until(packed, reward.trials_count.name), reward)

    assert (window.start, window.end) == (expected.start, expected.end)
    assert window.days.tolist() == expected.days.tolist()
    assert window.trials.tolist() == expected.trials.tolist()


def test_recorded_window__no_data__has_no_days() -> None:
    recorded = allocate(make_running()).recorded_inputs
    nothing: dict[str, object] = {"first_date": None, "days": [], "impressions": [[], []]}

    window = recorded_window({**recorded, "counts": nothing}, Reward.CTR)

    assert (window.start, window.trials.shape) == (None, (0, 2))
