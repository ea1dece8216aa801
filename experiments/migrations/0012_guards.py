"""Guards: metrics that must not fall."""

import django.db.models.deletion
import django.utils.timezone
import simple_history.models
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("experiments", "0011_notes")]

    operations = [
        migrations.CreateModel(
            name="Guard",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "metric",
                    models.CharField(
                        choices=[
                            ("ctr", "Clicks per impression"),
                            ("conversion_rate", "Conversions per impression"),
                            ("click_conversion_rate", "Conversions per click"),
                            ("value_per_impression", "Value per impression"),
                            ("value_per_click", "Value per click"),
                        ],
                        max_length=24,
                    ),
                ),
                ("max_fall", models.FloatField(help_text="Percent of the control's, above 0 and below 100.")),
                (
                    "action",
                    models.CharField(
                        choices=[("act", "Give the control all traffic"), ("tell", "Tell only")],
                        default="tell",
                        max_length=4,
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
            options={
                "ordering": ("id",),
            },
        ),
        migrations.CreateModel(
            name="HistoricalGuard",
            fields=[
                (
                    "id",
                    models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name="ID"),
                ),
                (
                    "metric",
                    models.CharField(
                        choices=[
                            ("ctr", "Clicks per impression"),
                            ("conversion_rate", "Conversions per impression"),
                            ("click_conversion_rate", "Conversions per click"),
                            ("value_per_impression", "Value per impression"),
                            ("value_per_click", "Value per click"),
                        ],
                        max_length=24,
                    ),
                ),
                ("max_fall", models.FloatField(help_text="Percent of the control's, above 0 and below 100.")),
                (
                    "action",
                    models.CharField(
                        choices=[("act", "Give the control all traffic"), ("tell", "Tell only")],
                        default="tell",
                        max_length=4,
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("history_user_id", models.CharField(max_length=160, null=True)),
                ("history_change_reason", models.CharField(max_length=500, null=True)),
                ("history_id", models.AutoField(primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
            ],
            options={
                "verbose_name": "historical guard",
                "verbose_name_plural": "historical guards",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.AddField(
            model_name="guard",
            name="experiment",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="guards",
                to="experiments.experiment",
            ),
        ),
        migrations.AddField(
            model_name="historicalguard",
            name="experiment",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="experiments.experiment",
            ),
        ),
        migrations.AddConstraint(
            model_name="guard",
            constraint=models.UniqueConstraint(
                fields=("experiment", "metric"),
                name="guard_metric_unique",
                violation_error_message="This metric has a guard already.",
            ),
        ),
        migrations.AddConstraint(
            model_name="guard",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "metric__in",
                        [
                            "ctr",
                            "conversion_rate",
                            "click_conversion_rate",
                            "value_per_impression",
                            "value_per_click",
                        ],
                    )
                ),
                name="guard_metric_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="guard",
            constraint=models.CheckConstraint(
                condition=models.Q(("action__in", ["act", "tell"])), name="guard_action_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="guard",
            constraint=models.CheckConstraint(
                condition=models.Q(("max_fall__gt", 0), ("max_fall__lt", 100)),
                name="guard_max_fall_range",
                violation_error_message="max_fall must be above 0 and below 100, in percent.",
            ),
        ),
    ]
