"""A CHECK that is added to a large table without reading it, and validated later while writers go on."""

from typing import Any

from django.db import migrations


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
