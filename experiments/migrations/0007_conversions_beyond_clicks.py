"""Let conversions exceed clicks: both lie within the impressions. Every stored row holds the new CHECK.

Backwards the migration fails, and changes nothing, where rows are stored that the old CHECK refuses.
"""

from django.db import migrations, models

from experiments.migrations._unchecked import AddConstraintUnchecked


class Migration(migrations.Migration):
    dependencies = [("experiments", "0006_memory_and_dispersion")]

    operations = [
        migrations.RemoveConstraint(
            model_name="dailymetric",
            name="dailymetric_counts_nested",
        ),
        AddConstraintUnchecked(
            model_name="dailymetric",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("clicks__gte", 0),
                    ("conversions__gte", 0),
                    ("clicks__lte", models.F("impressions")),
                    ("conversions__lte", models.F("impressions")),
                    ("impressions__lte", 1000000000000),
                ),
                name="dailymetric_counts_nested",
                violation_error_message="0 <= clicks <= impressions and 0 <= conversions <= impressions must hold.",
            ),
        ),
    ]
