"""Counts in recorded inputs are binary columns from here on (allocation.packing); what was packed before stays as it is.

Backwards, they are written as the version before reads them: JSON, compressed by zlib. What this migration has to read
is frozen here, also the form with values, which a later version writes.
"""

import json
import zlib
from typing import Any

import numpy as np
from django.db import migrations

_COLUMNS, _WITH_VALUES = b"\x01", b"\x02"
_LENGTH = 4
_NAMES = ("impressions", "clicks", "conversions")
_VALUES = ("value_sum", "value_squares")


def pack_as_json(apps: Any, schema_editor: Any) -> None:
    allocations = apps.get_model("allocation", "Allocation").objects.using(schema_editor.connection.alias)
    for allocation in allocations.filter(packed_inputs__isnull=False).only("packed_inputs").iterator(500):
        packed = bytes(allocation.packed_inputs)
        if packed[:1] in (_COLUMNS, _WITH_VALUES):
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
    for name, column in zip(_VALUES, head.get("values", ()), strict=False):
        floats, before, start = _amounts(column, before, plain, start)
        value["counts"][name] = floats.tolist()
    return value


def _amounts(column: Any, before: Any, plain: bytes, start: int) -> tuple[Any, Any, int]:
    """Read floats, the whole numbers of a decimal place that they are near, and where the next ones begin."""
    read = []
    for width in (column["width"], column["ulps"]):
        end = start + before.size * width
        planes = np.frombuffer(plain[start:end], dtype=np.uint8).reshape(width, before.size)
        read.append(_numbers(planes).reshape(before.shape))
        start = end
    whole = np.rint(before * column["part"]).astype(np.int64) + read[0]
    near = (whole / 10.0 ** column["places"]).view(np.int64)
    return (near + read[1]).view(np.float64), whole, start


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
