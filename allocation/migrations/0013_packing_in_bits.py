"""Counts of recorded inputs are packed in bits from here on (allocation.packing.rice); what was packed before stays as it is.

Backwards, they are written as JSON alone, which every version reads. What this migration has to read is frozen here.
"""

import json
import zlib
from typing import Any

import numpy as np
from django.db import migrations

DICTIONARY_OF_BITS = (
    b'"reward":"conversion_rate","guarding":{"rules":[{"action":"act","max_fall":5.0,"metric":"conversion_rate"}],'
    b'"since":null,"stopped":false},"_variants":{"days_with_data":[60,60],"id":[1,2],"is_active":[true,true],'
    b'"is_control":[true,false],"key":["control","variant_b"]},'
    b'{"_days":60,"_previous":[0.1,0.2,0.3,0.4],"_variants":{"days_with_data":[60,60,60,60],"id":[1,2,3,4],'
    b'"is_active":[true,true,true,true],"is_control":[true,false,false,false],"key":["control","variant_b","variant_c",'
    b'"variant_d"]},"completed":false,"counts":{"first_date":"2026-01-01"},"days_with_data":60,"earlier_impressions":0,'
    b'"engine_version":"2","gains":{"gain_error":100.0,"gained_over_even":200.0,"given_up":200.0,"open":{'
    b'"2026-01-01":[0,0,0,0]}},"mismatch":false,"reward":"ctr","rules":4,"settings":{"alpha_prior":1.0,"beta_prior":null,'
    b'"control_floor":0.1,"day_adjustment":true,"dispersion":true,"exploitation":1.0,"maturity_days":0,'
    b'"max_daily_shift":0.2,"memory":true,"min_explore_rate":0.05,"min_impressions":1000,"window_days":null},'
    b'"target_date":"2026-01-01","winner":null}'
)


def _numbers(packed: bytes, size: int) -> tuple[Any, int]:
    k, bits = packed[0], np.unpackbits(np.frombuffer(packed, dtype=np.uint8, offset=1))
    low = bits[: size * k].reshape(size, k).astype(np.uint64) << np.arange(k, dtype=np.uint64)
    ends = np.flatnonzero(bits[size * k :])[:size]
    rest = (np.diff(ends, prepend=-1) - 1).astype(np.uint64)
    folded = ((rest << np.uint64(k)) + low.sum(axis=1, dtype=np.uint64)).astype(np.int64)
    return (folded >> 1) ^ -(folded & 1), 1 + (size * k + int(ends[-1]) + 8) // 8


def whole(short: Any) -> Any:
    inputs = dict(short)
    if "_days" in short:
        inputs["counts"] = {**short["counts"], "days": list(range(inputs.pop("_days")))}
    if "_variants" in short:
        columns = inputs.pop("_variants")
        inputs["variants"] = [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ]
    if "_previous" in short:
        shares = zip(inputs["variants"], inputs.pop("_previous"), strict=True)
        inputs["previous"] = {str(one["id"]): share for one, share in shares}
    return inputs


def read(packed: bytes) -> Any:
    unpacker = zlib.decompressobj(wbits=-zlib.MAX_WBITS, zdict=DICTIONARY_OF_BITS)
    value = whole(json.loads(unpacker.decompress(packed[1:])))
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
    dependencies = [("allocation", "0012_fewer_indexes")]

    # A squash keeps it: there is no other way back.
    operations = [migrations.RunPython(migrations.RunPython.noop, pack_as_json)]
