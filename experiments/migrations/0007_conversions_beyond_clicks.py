"""Let conversions exceed clicks: both lie within the impressions. Every stored row holds the new CHECK.

Backwards the migration fails, and changes nothing, where rows are stored that the old CHECK refuses.
"""

from django.db import migrations, models


class AddConstraintUnchecked(migrations.AddConstraint):
    """Adds a CHECK that all rows are known to hold, on PostgreSQL without reading them (NOT VALID).

    Writers wait for a moment only; a later migration validates it while they go on.
    """

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        statement = self.constraint.create_sql(model, schema_editor)
        schema_editor.execute(f"{statement} NOT VALID", params=None)


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
