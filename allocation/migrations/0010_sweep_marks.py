"""Marks of the sweep: a row beside each experiment says what its last decision rests on."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("allocation", "0009_packing_dictionary"),
        ("experiments", "0021_redundant_indexes"),
    ]

    operations = [
        migrations.CreateModel(
            name="SweepMark",
            fields=[
                (
                    "experiment",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="experiments.experiment",
                    ),
                ),
                ("target_date", models.DateField()),
                ("data_version", models.BigIntegerField()),
                ("changed_at", models.DateTimeField()),
                ("decision", models.BigIntegerField()),
                ("mismatch", models.BooleanField()),
                ("rules", models.CharField(max_length=16)),
            ],
        ),
    ]
