"""Traffic beside its split, added up over the days that are closed."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("allocation", "0010_sweep_marks"),
        ("experiments", "0022_changed_from"),
    ]

    operations = [
        migrations.CreateModel(
            name="ClosedTraffic",
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
                ("through", models.DateField()),
                ("decision", models.BigIntegerField()),
                ("days", models.IntegerField()),
                ("compared_days", models.IntegerField()),
                ("sums", models.BinaryField()),
            ],
        ),
    ]
