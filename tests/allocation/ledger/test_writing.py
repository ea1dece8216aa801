"""Entries are stored as they were computed, whatever the statement that writes them."""

import datetime as dt
import math

import pytest

from allocation.ledger.entries import Entry, compute_entries
from allocation.ledger.writing import write_entries
from allocation.models import Allocation, AllocationShare
from allocation.services import current_inputs, find_for_allocation
from experiments.models import Experiment
from tests.factory import NOW, TODAY, counts, make_running, record

pytestmark = pytest.mark.django_db


def _columns(row: Allocation | AllocationShare) -> dict[str, object]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def _entries(*experiments: Experiment) -> list[Entry]:
    inputs = [current_inputs(find_for_allocation(one.pk, TODAY), TODAY) for one in experiments]
    return compute_entries(inputs, NOW + dt.timedelta(microseconds=1))


def test_write_entries__several__are_read_as_they_were() -> None:
    one, other = make_running(), make_running("Wörter “and” \\ more")
    record(other, counts("third", 1, 0))
    entries = _entries(one, other)

    write_entries(entries)

    assert Allocation.objects.count() == 2
    for entry in entries:
        stored = Allocation.objects.get(pk=entry.allocation.pk)
        assert _columns(stored) == _columns(entry.allocation)
        shares = list(stored.shares.order_by("variant_id"))
        assert [_columns(share) for share in shares] == [_columns(share) for share in entry.shares]
        assert not entry.allocation._state.adding


def test_write_entries__words_of_any_kind_and_numbers_past_all_bounds__are_kept() -> None:
    (entry,) = _entries(make_running())
    entry.allocation.reason = "“%s” 'x' \\n \u2028 {} end"
    entry.allocation.harms = [{"metric": "ctr", "max_fall": 0.1}]
    entry.shares[0].effective_orders = math.inf
    entry.shares[0].expected_loss = 5e-324

    write_entries([entry])

    stored = Allocation.objects.get()
    share = stored.shares.get(pk=entry.shares[0].pk)
    assert (stored.reason, stored.harms) == (entry.allocation.reason, entry.allocation.harms)
    assert (share.effective_orders, share.expected_loss) == (math.inf, 5e-324)


def test_write_entries__none__writes_nothing() -> None:
    write_entries([])

    assert not Allocation.objects.exists()
