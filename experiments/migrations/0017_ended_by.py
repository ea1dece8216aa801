from typing import Any

from django.db import migrations, models


def fill_from_history(apps: Any, schema_editor: Any) -> None:
    """Take when, by whom and from which status the ended experiments ended from their history."""
    experiments, records = (
        apps.get_model("experiments", "Experiment"),
        apps.get_model("experiments", "HistoricalExperiment"),
    )
    for experiment in experiments.objects.filter(status="completed").iterator():
        before, end = "", None
        known = records.objects.filter(id=experiment.pk).order_by("history_id")
        for record in known.values("status", "history_date", "history_user_id").iterator():
            if record["status"] == "completed" and end is None:
                end = record
            elif record["status"] != "completed":
                before, end = record["status"], None
        if end is not None and before in ("active", "paused"):
            experiments.objects.filter(pk=experiment.pk).update(
                completed_at=end["history_date"],
                completed_by=end["history_user_id"] or "",
                status_before_end=before,
            )


class Migration(migrations.Migration):
    dependencies = [
        ("experiments", "0016_upload_columns"),
    ]

    operations = [
        migrations.AddField(
            model_name="experiment",
            name="completed_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="experiment",
            name="completed_by",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=160),
        ),
        migrations.AddField(
            model_name="experiment",
            name="status_before_end",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=10),
        ),
        migrations.RunPython(fill_from_history, migrations.RunPython.noop),
    ]
