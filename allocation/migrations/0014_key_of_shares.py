"""On PostgreSQL the key of a share is its allocation and its variant: one index less, and 22 bytes of each share.

The column id stays, for Django; nothing looks for a share by it. SQLite keeps its rows by id without an index.

The index is built while the version before serves: of 2.4 million shares it takes some seconds, in which nobody could
read one. So the migration is no transaction, and can be run again wherever an attempt broke off.
"""

from typing import Any

from django.db import migrations

_TABLE, _ID, _NATURAL = (
    "allocation_allocationshare",
    "allocation_allocationshare_pkey",
    "allocationshare_variant_unique",
)
_NEW = "allocationshare_new_key"
_PREPARE = (
    f"DROP INDEX CONCURRENTLY IF EXISTS {_NEW}",
    f"CREATE UNIQUE INDEX CONCURRENTLY {_NEW} ON {_TABLE} (allocation_id, variant_id)",
)
# One statement each: the table is never without a key.
_CHANGE = f"ALTER TABLE {_TABLE} DROP CONSTRAINT IF EXISTS {_ID}, DROP CONSTRAINT {_NATURAL}, ADD CONSTRAINT {_NATURAL} PRIMARY KEY USING INDEX {_NEW}"
_BACK = f"ALTER TABLE {_TABLE} DROP CONSTRAINT {_NATURAL}, ADD CONSTRAINT {_NATURAL} UNIQUE (allocation_id, variant_id), ADD CONSTRAINT {_ID} PRIMARY KEY (id)"


def use_natural_key(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        for statement in (*_PREPARE, _CHANGE):
            schema_editor.execute(statement)


def use_id(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(_BACK)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("allocation", "0013_packing_in_bits")]

    # A squash keeps it: models do not say it.
    operations = [migrations.RunPython(use_natural_key, use_id)]
