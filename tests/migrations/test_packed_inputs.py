"""Going back before the binary columns: every decision keeps what it was computed from, values too."""

import importlib
import json
import zlib
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from allocation.packing import DICTIONARY, DICTIONARY_OF_BITS
from experiments.metrics import DailyCounts, Reward
from tests.factory import TODAY, allocate, make_experiment, make_running, record

pytestmark = pytest.mark.django_db


class _Editor(NamedTuple):
    """Names the connection, which is all that the migration asks of a schema editor."""

    connection: Any


_migration: Any = importlib.import_module("allocation.migrations.0005_packed_columns")
_bits: Any = importlib.import_module("allocation.migrations.0013_packing_in_bits")
_dictionary: Any = importlib.import_module("allocation.migrations.0009_packing_dictionary")


def test_packed_columns__backwards__are_json_with_counts_and_values() -> None:
    by_value = make_experiment("Orders", reward=Reward.VALUE_PER_IMPRESSION)
    record(
        by_value,
        *(DailyCounts(TODAY, name, 1000, 50, 20, Decimal(812), 40_000.0) for name in ("control", "b")),
    )
    before = {decision.pk: decision.recorded_inputs for decision in map(allocate, (make_running(), by_value))}

    then = MigrationLoader(connection).project_state(("allocation", "0005_packed_columns")).apps
    _bits.pack_as_json(then, _Editor(connection))
    _dictionary.pack_without_dictionary(then, _Editor(connection))
    without = list(then.get_model("allocation", "Allocation").objects.values_list("packed_inputs", flat=True))
    _migration.pack_as_json(then, _Editor(connection))

    rows = then.get_model("allocation", "Allocation").objects.values_list("pk", "packed_inputs")
    stored = {pk: json.loads(zlib.decompress(bytes(packed))) for pk, packed in rows}
    assert {bytes(packed)[:1] for packed in without} == {b"\x78", b"\x02"}
    assert stored == before
    assert "value_sum" in str(stored)


def test_dictionary__of_the_migration__is_that_of_the_code() -> None:
    assert _dictionary.DICTIONARY == DICTIONARY
    assert _bits.DICTIONARY_OF_BITS == DICTIONARY_OF_BITS
