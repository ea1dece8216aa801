"""Add each day's sum of values and of their squares, 0 for the rows there are: no row is written for that."""

from decimal import Decimal

import django.db.models.expressions
import django.db.models.functions.comparison
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
    dependencies = [("experiments", "0007_conversions_beyond_clicks")]

    operations = [
        migrations.AddField(
            model_name="dailymetric",
            name="value_squares",
            field=models.FloatField(db_default=0.0, default=0.0),
        ),
        migrations.AddField(
            model_name="dailymetric",
            name="value_sum",
            field=models.DecimalField(
                db_default=Decimal("0"), decimal_places=4, default=Decimal("0"), max_digits=20
            ),
        ),
        AddConstraintUnchecked(
            model_name="dailymetric",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("value_sum__gte", 0),
                    ("value_sum__lte", Decimal("1000000000000000")),
                    ("value_squares__gte", 0),
                    ("value_squares__lte", 1e30),
                    (
                        "value_squares__gte",
                        django.db.models.expressions.CombinedExpression(
                            django.db.models.expressions.CombinedExpression(
                                django.db.models.functions.comparison.Cast("value_sum", models.FloatField()),
                                "*",
                                django.db.models.functions.comparison.Cast("value_sum", models.FloatField()),
                            ),
                            "/",
                            django.db.models.expressions.CombinedExpression(
                                django.db.models.functions.comparison.Cast(
                                    django.db.models.functions.comparison.Greatest(
                                        "conversions", models.Value(1)
                                    ),
                                    models.FloatField(),
                                ),
                                "*",
                                models.Value(1.000000001),
                            ),
                        ),
                    ),
                ),
                name="dailymetric_values_possible",
                violation_error_message="No values have this sum and this sum of squares.",
            ),
        ),
    ]
