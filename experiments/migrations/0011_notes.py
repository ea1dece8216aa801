"""Notes about a day of an experiment."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("experiments", "0010_campaign_fields")]

    operations = [
        migrations.CreateModel(
            name="Note",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("date", models.DateField()),
                ("text", models.CharField(max_length=500)),
                ("author", models.CharField(blank=True, editable=False, max_length=160)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
            options={
                "ordering": ("-date", "-id"),
            },
        ),
        migrations.AddField(
            model_name="note",
            name="experiment",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="notes", to="experiments.experiment"
            ),
        ),
    ]
