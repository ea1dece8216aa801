"""Counts in recorded inputs are binary columns from here on (allocation.packing); what was packed before stays as it is.

Backwards, they are written as the version before reads them: JSON, compressed by zlib. What this migration has to read
is frozen here.
"""

import json
import zlib
from typing import Any

import numpy as np
from django.db import migrations

_COLUMNS = b"\x01"
_LENGTH = 4
_NAMES = ("impressions", "clicks", "conversions")


def pack_as_json(apps: Any, schema_editor: Any) -> None:
    allocations = apps.get_model("allocation", "Allocation").objects.using(schema_editor.connection.alias)
    for allocation in allocations.filter(packed_inputs__isnull=False).only("packed_inputs").iterator(500):
        packed = bytes(allocation.packed_inputs)
        if packed[:1] == _COLUMNS:
            text = json.dumps(_unpacked(packed), sort_keys=True, separators=(",", ":"))
            allocation.packed_inputs = zlib.compress(text.encode(), 9)
            allocation.save(update_fields=["packed_inputs"])


def _unpacked(packed: bytes) -> Any:
    plain = zlib.decompress(packed[1:])
    start = _LENGTH + int.from_bytes(plain[:_LENGTH], "little")
    head = json.loads(plain[_LENGTH:start])
    before, value = np.zeros(head["shape"], dtype=np.int64), head["rest"]
    for name, column in zip(_NAMES, head["columns"], strict=True):
        end = start + before.size * column["width"]
        planes = np.frombuffer(plain[start:end], dtype=np.uint8).reshape(column["width"], -1)
        expected = np.rint(before * column["part"]).astype(np.int64)
        before = expected + _numbers(planes).reshape(before.shape)
        value["counts"][name] = before.tolist()
        start = end
    return value


def _numbers(planes: Any) -> Any:
    folded = np.zeros(planes.shape[1], dtype=np.int64)
    for place, plane in enumerate(planes):
        folded |= plane.astype(np.int64) << 8 * place
    return (folded >> 1) ^ -(folded & 1)


class Migration(migrations.Migration):
    dependencies = [
        ("allocation", "0004_values"),
    ]

    operations = [
        # A squash keeps it: there is no other way back.
        migrations.RunPython(migrations.RunPython.noop, pack_as_json),
    ]
