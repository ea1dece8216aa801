"""Validate the CHECKs that earlier migrations added unchecked; writers go on meanwhile."""

from django.db import migrations

from experiments.migrations._unchecked import validate_constraint

_TABLE = "experiments_dailymetric"


class Migration(migrations.Migration):
    dependencies = [("experiments", "0012_guards")]

    operations = [
        validate_constraint(_TABLE, "dailymetric_counts_nested"),
        validate_constraint(_TABLE, "dailymetric_values_possible"),
    ]
