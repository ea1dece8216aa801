"""Validate the CHECKs that earlier migrations added unchecked; writers go on meanwhile."""

from django.db import migrations


def validate(apps, schema_editor):
    # other databases checked the rows when they added the CHECKs
    if schema_editor.connection.vendor == "postgresql":
        for name in ("dailymetric_counts_nested", "dailymetric_values_possible"):
            schema_editor.execute(f"ALTER TABLE experiments_dailymetric VALIDATE CONSTRAINT {name}")


class Migration(migrations.Migration):
    dependencies = [("experiments", "0012_guards")]

    operations = [migrations.RunPython(validate, migrations.RunPython.noop)]
