"""Counts in recorded inputs are binary columns from here on (allocation.packing); what was packed before stays as it is.

Backwards, they are written as the version before reads them: JSON, compressed by zlib. allocation.packing reads every
form that was ever written, so that a later version's decisions go back too.
"""

import json
import zlib
from typing import Any

from django.db import migrations

from allocation.packing import unpack

_ZLIB = b"\x78"


def pack_as_json(apps: Any, schema_editor: Any) -> None:
    allocations = apps.get_model("allocation", "Allocation").objects.using(schema_editor.connection.alias)
    for allocation in allocations.filter(packed_inputs__isnull=False).only("packed_inputs").iterator(500):
        packed = bytes(allocation.packed_inputs)
        if packed[:1] != _ZLIB:
            text = json.dumps(unpack(packed), sort_keys=True, separators=(",", ":"))
            allocation.packed_inputs = zlib.compress(text.encode(), 9)
            allocation.save(update_fields=["packed_inputs"])


class Migration(migrations.Migration):
    dependencies = [
        ("allocation", "0004_values"),
    ]

    operations = [
        # A squash keeps it: there is no other way back.
        migrations.RunPython(migrations.RunPython.noop, pack_as_json),
    ]
