"""Counts of recorded inputs are packed in bits from here on (allocation.rice); what was packed before stays as it is.

Backwards, they are written as JSON alone, which every version reads. What this migration has to read is frozen here.
"""

import json
import zlib
from importlib import import_module
from typing import Any

import numpy as np
from django.db import migrations

DICTIONARY = import_module("allocation.migrations.0009_packing_dictionary").DICTIONARY


def _numbers(packed: bytes, size: int) -> tuple[Any, int]:
    k, bits = packed[0], np.unpackbits(np.frombuffer(packed, dtype=np.uint8, offset=1))
    low = bits[: size * k].reshape(size, k).astype(np.uint64) << np.arange(k, dtype=np.uint64)
    ends = np.flatnonzero(bits[size * k :])[:size]
    rest = (np.diff(ends, prepend=-1) - 1).astype(np.uint64)
    folded = ((rest << np.uint64(k)) + low.sum(axis=1, dtype=np.uint64)).astype(np.int64)
    return (folded >> 1) ^ -(folded & 1), 1 + (size * k + int(ends[-1]) + 8) // 8


def read(packed: bytes) -> Any:
    unpacker = zlib.decompressobj(wbits=-zlib.MAX_WBITS, zdict=DICTIONARY)
    value = json.loads(unpacker.decompress(packed[1:]))
    rest = unpacker.unused_data
    shape = tuple(np.frombuffer(rest, dtype="<u4", count=2).tolist())
    parts = np.frombuffer(rest, dtype="<f4", count=2, offset=8).tolist()
    before, start = np.zeros(shape, dtype=np.int64), 16
    for name, part in zip(("impressions", "clicks", "conversions"), (None, *parts), strict=True):
        numbers, used = _numbers(rest[start:], before.size)
        away = numbers.reshape(shape)
        before = np.cumsum(away, axis=1) if part is None else np.rint(before * part).astype(np.int64) + away
        value["counts"][name] = before.tolist()
        start += used
    return value


def pack_as_json(apps: Any, schema_editor: Any) -> None:
    """Read and write some at a time: there may be millions."""
    allocations = apps.get_model("allocation", "Allocation").objects.using(schema_editor.connection.alias)
    last = 0
    while rows := list(
        allocations.filter(pk__gt=last, packed_inputs__isnull=False)
        .only("packed_inputs")
        .order_by("pk")[:500]
    ):
        changed = [row for row in rows if bytes(row.packed_inputs)[:1] == b"\x05"]
        for row in changed:
            text = json.dumps(read(bytes(row.packed_inputs)), sort_keys=True, separators=(",", ":"))
            row.packed_inputs = zlib.compress(text.encode(), 9)
        allocations.bulk_update(changed, ["packed_inputs"], batch_size=100)
        last = rows[-1].pk


class Migration(migrations.Migration):
    dependencies = [("allocation", "0012_scale_indexes")]

    # A squash keeps it: there is no other way back.
    operations = [migrations.RunPython(migrations.RunPython.noop, pack_as_json)]
