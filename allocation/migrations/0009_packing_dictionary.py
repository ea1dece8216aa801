"""Recorded inputs are packed with a dictionary from here on (allocation.packing); what was packed before stays as it is.

Backwards, they are written without it, as the version before reads them. What this migration has to read is frozen here.
"""

import zlib
from typing import Any

from django.db import migrations

DICTIONARY = (b"\x01", b"\x02")
# The JSON of an ordinary decision, of which an entry then holds what is different: a third less for sixty days. It
# never changes: what was packed with it cannot be read without it. Another one is another format.
DICTIONARY = (
    '"guarding":{"rules":[{"action":"act","max_fall":5.0,"metric":"conversion_rate"}],"since":null,"stopped":false},'
    '"reward":"conversion_rate","values":[{"part":0.0,"places":2,"ulps":0,"width":3}],'
    '{"columns":[{"part":100000.0,"width":2},{"part":0.05,"width":1},{"part":0.1,"width":1}],'
    '"rest":{"completed":false,"counts":{"days":['
    + ",".join(map(str, range(200)))
    + '],"first_date":"2026-01-01"},"days_with_data":60,"earlier_impressions":0,"engine_version":"2","gains":{'
    '"gain_error":100.0,"gained_over_even":200.0,"given_up":200.0,"open":{"2026-01-01":[0,0,0,0]}},"mismatch":false,'
    '"previous":{"1":0.1,"2":0.2},"reward":"ctr","rules":4,"settings":{"alpha_prior":1.0,"beta_prior":null,'
    '"control_floor":0.1,"day_adjustment":true,"dispersion":true,"exploitation":1.0,"maturity_days":0,'
    '"max_daily_shift":0.2,"memory":true,"min_explore_rate":0.05,"min_impressions":1000,"window_days":null},'
    '"target_date":"2026-01-01","variants":[{"days_with_data":60,"id":1,"is_active":true,"is_control":true,'
    '"key":"control"},{"days_with_data":60,"id":2,"is_active":true,"is_control":false,"key":"variant_b"}],'
    '"winner":null},"shape":[4,60]}'
).encode()
_WITHOUT = {b"\x03": b"\x01", b"\x04": b"\x02"}


def pack_without_dictionary(apps: Any, schema_editor: Any) -> None:
    allocations = apps.get_model("allocation", "Allocation").objects.using(schema_editor.connection.alias)
    for allocation in allocations.filter(packed_inputs__isnull=False).only("packed_inputs").iterator(500):
        packed = bytes(allocation.packed_inputs)
        if packed[:1] in _WITHOUT:
            plain = zlib.decompressobj(zdict=DICTIONARY).decompress(packed[1:])
            allocation.packed_inputs = _WITHOUT[packed[:1]] + zlib.compress(plain, 9)
            allocation.save(update_fields=["packed_inputs"])


class Migration(migrations.Migration):
    dependencies = [
        ("allocation", "0008_redundant_indexes"),
    ]

    operations = [
        # A squash keeps it: there is no other way back.
        migrations.RunPython(migrations.RunPython.noop, pack_without_dictionary),
    ]
