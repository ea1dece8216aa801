"""The inputs of a decision: what the decision log holds is what was computed from."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from allocation.engine import Settings
from allocation.ledger.inputs import AllocationInputs, canonical, digest
from allocation.ledger.table import DailyTable
from allocation.ledger.verification import verify_ledger
from allocation.models import Allocation
from experiments.metrics import Reward
from experiments.models import Status, Variant
from experiments.services import change_status
from tests.factory import NOW, TODAY, allocate, counts, make_running, record

DAY = dt.timedelta(days=1)


@pytest.mark.django_db
def test_inputs__read_back_from_the_decision_log__are_the_ones_recorded() -> None:
    experiment = make_running(reward=Reward.CONVERSION_RATE, window_days=3)
    allocate(experiment)
    record(experiment, counts("c", 10, 5, date=TODAY - 5 * DAY))
    Variant.objects.filter(name="c").update(is_active=False)
    allocate(experiment, TODAY + DAY)
    winner = experiment.variants.get(name="variant_b").pk
    change_status(experiment_id=experiment.pk, to=Status.COMPLETED, now=NOW, winner_id=winner)
    allocate(experiment, TODAY + 2 * DAY)

    for allocation in Allocation.objects.order_by("pk"):
        inputs = AllocationInputs.from_json(allocation.recorded_inputs, experiment.pk)
        assert json.loads(json.dumps(inputs.as_json)) == allocation.recorded_inputs
        assert inputs.digest == digest(allocation.recorded_inputs) == allocation.inputs_digest
    assert (inputs.completed, inputs.winner, len(inputs.variants)) == (True, winner, 3)


@pytest.mark.parametrize("days", [(3, 2, 3, 1), (1, 3, 1, 3), (3, 1, 3, 1), (1, 2, 2, 3)])
def test_daily_table__columns_of_variants__are_those_of_their_rows(days: tuple[int, ...]) -> None:
    numbers = [(7, 10**12, 5, 2), (7, 4, 1, 0), (9, 6, 0, 0), (9, 8, 8, 1)]
    rows = [(day, *rest) for day, rest in zip(days, numbers, strict=True)]
    dated = [(dt.date.fromordinal(day), *rest) for day, *rest in rows]
    columns = {
        pk: list(np.array([row[:1] + row[2:] for row in rows if row[1] == pk], dtype=np.int64).T)
        for pk in (7, 9)
    }

    for variants in ((9, 8, 7), (9, 7), (8,)):
        table = DailyTable.of_columns([columns.get(pk) for pk in variants])
        same = DailyTable.of_rows(dated, {pk: place for place, pk in enumerate(variants)})
        assert table.days.tolist() == same.days.tolist()
        for column, expected in zip(table.counts, same.counts, strict=True):
            assert (column.dtype, column.tolist()) == (expected.dtype, expected.tolist())


@given(
    days=st.lists(st.lists(st.integers(1, 6), unique=True), min_size=1, max_size=4), with_values=st.booleans()
)
def test_daily_table__columns_with_values__are_those_of_their_rows(
    days: list[list[int]], with_values: bool
) -> None:
    rows = [
        (dt.date.fromordinal(day), pk, 100 * day + pk, 10 * day, pk, day / 7, day / 3)
        for pk, own in enumerate(days)
        for day in own
    ]
    columns: list[list[NDArray[Any]] | None] = []
    for pk, own in enumerate(days):
        ordinals, _pk, *numbers = (
            zip(*(row for row in rows if row[1] == pk), strict=True) if own else ((), ())
        )
        days_of = np.array([date.toordinal() for date in ordinals])
        columns.append(
            [days_of, *(np.array(list(map(float if n > 2 else int, of))) for n, of in enumerate(numbers))]
        )
        columns[pk] = columns[pk] if own else None

    table = DailyTable.of_columns(columns, with_values=with_values)
    same = DailyTable.of_rows((row[:5] for row in rows), {pk: pk for pk in range(len(days))})

    assert table.days.tolist() == same.days.tolist()
    for column, expected in zip(table.counts, same.counts, strict=True):
        assert (column.dtype, column.tolist()) == (expected.dtype, expected.tolist())
    values = {(row[0].toordinal(), row[1]): row[5:] for row in rows}
    for place, amounts in enumerate(table.values or ()):
        wanted = [
            [values.get((day, pk), (0, 0))[place] for pk in range(len(days))] for day in table.days.tolist()
        ]
        assert (str(amounts.dtype), amounts.tolist()) == ("float64", wanted)
    assert (table.values is None) == (not with_values)


def test_daily_table__missing_rows__are_zeros_and_unknown_variants_are_left_out() -> None:
    rows = [(TODAY, 7, 100, 10, 1), (TODAY - DAY, 8, 50, 5, 0), (TODAY, 9, 1, 1, 1)]

    table = DailyTable.of_rows(rows, {7: 0, 8: 1})

    assert table.dates == [TODAY - DAY, TODAY]
    assert table.counts.impressions.tolist() == [[0, 50], [100, 0]]
    assert table.counts.conversions.tolist() == [[0, 0], [1, 0]]


def test_daily_table__to_json_and_back__is_the_same() -> None:
    table = DailyTable.of_rows([(TODAY, 7, 100, 10, 1), (TODAY - 5 * DAY, 8, 50, 5, 0)], {7: 0, 8: 1})

    recorded = table.to_json()

    assert (recorded["days"], recorded["clicks"]) == ([0, 5], [[0, 10], [5, 0]])
    assert DailyTable.from_json(recorded, 2).counts.impressions.tolist() == table.counts.impressions.tolist()
    assert DailyTable.from_json(recorded, 2).dates == table.dates


def test_daily_table__no_rows__has_a_column_for_each_variant() -> None:
    table = DailyTable.of_rows([], {7: 0, 8: 1})

    assert table.counts.clicks.shape == (0, 2)
    assert DailyTable.from_json(table.to_json(), 2).counts.clicks.shape == (0, 2)


def test_to_request__nothing_in_force_before__has_no_previous_shares() -> None:
    inputs = AllocationInputs(
        experiment_id=1,
        target_date=TODAY,
        reward=Reward.CTR,
        completed=False,
        winner=None,
        variants=(),
        table=DailyTable.of_rows([(TODAY, 7, 100, 10, 1)], {7: 0}),
        earlier_impressions=40,
        days_with_data=1,
        previous=None,
        settings=Settings(),
    )

    assert inputs.impressions_so_far == 140
    assert inputs.to_request().control is None


@pytest.mark.django_db
def test_ledger__dumped_and_loaded__verifies(tmp_path: Path) -> None:
    allocation = allocate(make_running())
    recorded, dump = allocation.recorded_inputs, tmp_path / "ledger.json"
    call_command("dumpdata", "allocation", output=str(dump))
    Allocation.objects.all().delete()

    call_command("loaddata", str(dump), verbosity=0)

    assert Allocation.objects.get().recorded_inputs == json.loads(json.dumps(recorded))
    assert [verified.differences for verified in verify_ledger()] == [[]]


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(
        ["\x7f", '"', "\\", "/", "\u2028", "\ud800", "1e5", -0.0, 0.0, 1e-5, 1e16, 1e22, 0.0001]
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(_JSON)
@hypothesis_settings(deadline=None)
def test_canonical__any_json__is_the_text_of_json_dumps(value: object) -> None:
    assert canonical(value) == json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
