import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("experiments", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Allocation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("target_date", models.DateField()),
                ("revision", models.PositiveIntegerField()),
                ("engine_version", models.CharField(max_length=20)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("warm_up", "Warm-up"),
                            ("optimized", "Optimized"),
                            ("completed", "Completed"),
                        ],
                        max_length=10,
                    ),
                ),
                ("reason", models.CharField(max_length=1000)),
                (
                    "state",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("collecting", "Collecting"),
                            ("optimizing", "Optimizing"),
                            ("leader", "Leader found"),
                            ("decided", "Decided"),
                        ],
                        max_length=12,
                    ),
                ),
                ("window_start", models.DateField(null=True)),
                ("window_end", models.DateField(null=True)),
                ("data_through", models.DateField(null=True)),
                ("value_remaining", models.FloatField(null=True)),
                ("window_impressions", models.BigIntegerField(default=0)),
                ("window_clicks", models.BigIntegerField(default=0)),
                ("inputs", models.JSONField()),
                ("inputs_digest", models.CharField(max_length=64)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "experiment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="allocations",
                        to="experiments.experiment",
                    ),
                ),
            ],
            options={
                "ordering": ("-target_date", "-revision"),
            },
        ),
        migrations.CreateModel(
            name="AllocationShare",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("share", models.DecimalField(decimal_places=4, max_digits=5)),
                ("previous_share", models.DecimalField(decimal_places=4, max_digits=5, null=True)),
                ("trials", models.BigIntegerField(default=0)),
                ("successes", models.BigIntegerField(default=0)),
                ("effective_trials", models.FloatField(null=True)),
                ("evidence_kept", models.FloatField(null=True)),
                ("posterior_alpha", models.FloatField(null=True)),
                ("posterior_beta", models.FloatField(null=True)),
                ("rate", models.FloatField(null=True)),
                ("rate_low", models.FloatField(null=True)),
                ("rate_high", models.FloatField(null=True)),
                ("probability_best", models.FloatField(null=True)),
                ("expected_loss", models.FloatField(null=True)),
                ("target", models.FloatField(null=True)),
                (
                    "bound",
                    models.CharField(
                        choices=[
                            ("none", "None"),
                            ("control_floor", "Control floor"),
                            ("exploration_floor", "Exploration floor"),
                            ("cap_up", "Daily cap, upward"),
                            ("cap_down", "Daily cap, downward"),
                            ("low_evidence", "Too little evidence"),
                        ],
                        default="none",
                        max_length=20,
                    ),
                ),
                (
                    "allocation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="shares",
                        to="allocation.allocation",
                    ),
                ),
                (
                    "variant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="allocation_shares",
                        to="experiments.variant",
                    ),
                ),
            ],
            options={
                "ordering": ("variant_id",),
            },
        ),
        migrations.AddIndex(
            model_name="allocation",
            index=models.Index(fields=["experiment", "-id"], name="allocation_newest"),
        ),
        migrations.AddConstraint(
            model_name="allocation",
            constraint=models.UniqueConstraint(
                fields=("experiment", "target_date", "revision"), name="allocation_revision_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="allocation",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["warm_up", "optimized", "completed"])),
                name="allocation_kind_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="allocationshare",
            constraint=models.UniqueConstraint(
                fields=("allocation", "variant"), name="allocationshare_variant_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="allocationshare",
            constraint=models.CheckConstraint(
                condition=models.Q(("share__gte", 0), ("share__lte", 1)), name="allocationshare_share_range"
            ),
        ),
        migrations.AddConstraint(
            model_name="allocationshare",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "bound__in",
                        ["none", "control_floor", "exploration_floor", "cap_up", "cap_down", "low_evidence"],
                    )
                ),
                name="allocationshare_bound_known",
            ),
        ),
    ]
