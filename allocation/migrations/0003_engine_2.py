import json
import zlib
from typing import Any

from django.db import migrations, models


def unpack_inputs(apps: Any, schema_editor: Any) -> None:
    """Write packed inputs where the earlier version looks for them, so that a rollback keeps every decision."""
    allocations = apps.get_model("allocation", "Allocation").objects.using(schema_editor.connection.alias)
    for allocation in allocations.filter(inputs__isnull=True).only("packed_inputs").iterator(chunk_size=500):
        allocation.inputs = json.loads(zlib.decompress(bytes(allocation.packed_inputs)))
        allocation.save(update_fields=["inputs"])


class Migration(migrations.Migration):
    dependencies = [
        ("allocation", "0002_target_date_index"),
        ("experiments", "0004_pending_imports_and_metric_dates"),
    ]

    operations = [
        migrations.AddField(
            model_name="allocation",
            name="dispersion",
            field=models.FloatField(null=True),
        ),
        migrations.AddField(
            model_name="allocation",
            name="gain_error",
            field=models.FloatField(null=True),
        ),
        migrations.AddField(
            model_name="allocation",
            name="gained_over_even",
            field=models.FloatField(null=True),
        ),
        migrations.AddField(
            model_name="allocation",
            name="given_up",
            field=models.FloatField(null=True),
        ),
        migrations.AddField(
            model_name="allocation",
            name="packed_inputs",
            field=models.BinaryField(null=True),
        ),
        migrations.AddField(
            model_name="allocation",
            name="rates_changed_on",
            field=models.DateField(null=True),
        ),
        migrations.AddField(
            model_name="allocationshare",
            name="missing_trials",
            field=models.FloatField(null=True),
        ),
        migrations.AlterField(
            model_name="allocation",
            name="inputs",
            field=models.JSONField(null=True),
        ),
        # Backwards it comes before the column refuses what is empty. A squash keeps it: there is no other way back.
        migrations.RunPython(migrations.RunPython.noop, unpack_inputs),
        migrations.AddConstraint(
            model_name="allocation",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("packed_inputs__isnull", False), ("inputs__isnull", False), _connector="OR"
                ),
                name="allocation_inputs_recorded",
            ),
        ),
    ]
