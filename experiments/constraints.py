"""CHECKs of the settings, built from their table, and migrations that add a CHECK to a large table."""

from typing import Any

from django.db import migrations, models
from django.db.models import F, Q

from experiments.settings_schema import ALGORITHM_SETTINGS, HIGHEST_FLOOR_SUM


def setting_constraints() -> list[models.BaseConstraint]:
    """Build a CHECK for the range of each setting; blank follows the installation's default."""
    ranges = [
        models.CheckConstraint(
            name=f"experiment_{s.name}_range",
            condition=Q((f"{s.name}__isnull", True))
            | Q((f"{s.name}__{'gt' if s.low_open else 'gte'}", s.low), (f"{s.name}__lte", s.high)),
            violation_error_message=f"{s.name} must be {s.range_text}.",
        )
        for s in ALGORITHM_SETTINGS.values()
        if not s.is_switch
    ]
    floors = models.CheckConstraint(
        name="experiment_floors_fit",
        condition=Q(control_floor__isnull=True)
        | Q(min_explore_rate__isnull=True)
        # the sum of two floats that are 0.99 on paper may be a hair more
        | Q(control_floor__lte=HIGHEST_FLOOR_SUM + 1e-9 - F("min_explore_rate")),
        violation_error_message=f"control_floor and min_explore_rate must not exceed {HIGHEST_FLOOR_SUM} together.",
    )
    return [*ranges, floors]


class AddConstraintUnchecked(migrations.AddConstraint):
    """Adds a CHECK that the rows of a large table are known to hold.

    On PostgreSQL it reads no row (NOT VALID), so writers wait for a moment only; new rows are checked at once. A later
    migration validates it while writers go on.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        statement = self.constraint.create_sql(model, schema_editor)
        schema_editor.execute(f"{statement} NOT VALID", params=None)


def validate_constraint(table: str, name: str) -> migrations.RunPython:
    """Let PostgreSQL check the rows of an unchecked constraint; others checked them when they added it."""

    def validate(apps: Any, schema_editor: Any) -> None:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")

    return migrations.RunPython(validate, migrations.RunPython.noop)
