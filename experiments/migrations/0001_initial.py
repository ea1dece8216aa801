import django.db.models.deletion
import django.db.models.expressions
import django.utils.timezone
import simple_history.models
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Experiment",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "key",
                    models.SlugField(
                        help_text="Names the experiment in URLs; never changes.", max_length=80, unique=True
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                ("description", models.TextField(blank=True, max_length=5000)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("draft", "Draft"),
                            ("active", "Active"),
                            ("paused", "Paused"),
                            ("completed", "Completed"),
                        ],
                        default="active",
                        max_length=10,
                    ),
                ),
                (
                    "reward",
                    models.CharField(
                        choices=[
                            ("ctr", "Clicks per impression"),
                            ("conversion_rate", "Conversions per impression"),
                            ("click_conversion_rate", "Conversions per click"),
                        ],
                        default="ctr",
                        max_length=24,
                    ),
                ),
                ("archived_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("data_version", models.BigIntegerField(default=0, editable=False)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("alpha_prior", models.FloatField(blank=True, null=True)),
                ("beta_prior", models.FloatField(blank=True, null=True)),
                ("min_explore_rate", models.FloatField(blank=True, null=True)),
                ("control_floor", models.FloatField(blank=True, null=True)),
                ("max_daily_shift", models.FloatField(blank=True, null=True)),
                ("window_days", models.IntegerField(blank=True, null=True)),
                ("maturity_days", models.IntegerField(blank=True, null=True)),
                ("min_impressions", models.IntegerField(blank=True, null=True)),
                ("day_adjustment", models.BooleanField(blank=True, null=True)),
                ("exploitation", models.FloatField(blank=True, null=True)),
            ],
            options={
                "ordering": ("-created_at", "-id"),
            },
        ),
        migrations.CreateModel(
            name="HistoricalVariant",
            fields=[
                (
                    "id",
                    models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name="ID"),
                ),
                ("key", models.CharField(help_text="The first name; never changes.", max_length=200)),
                ("name", models.CharField(max_length=200)),
                ("is_control", models.BooleanField(default=False)),
                ("is_active", models.BooleanField(default=True)),
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
                (
                    "experiment",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="experiments.experiment",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical variant",
                "verbose_name_plural": "historical variants",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="IdempotentAnswer",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "principal",
                    models.CharField(help_text="Who asked: a key's id, a user, or anyone.", max_length=160),
                ),
                ("key", models.CharField(max_length=255)),
                ("request_digest", models.CharField(max_length=64)),
                ("status_code", models.PositiveSmallIntegerField()),
                ("headers", models.JSONField(default=dict)),
                ("body", models.TextField()),
                ("created_at", models.DateTimeField(db_index=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("principal", "key"), name="idempotentanswer_key_unique")
                ],
            },
        ),
        migrations.CreateModel(
            name="Variant",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.CharField(help_text="The first name; never changes.", max_length=200)),
                ("name", models.CharField(max_length=200)),
                ("is_control", models.BooleanField(default=False)),
                ("is_active", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "experiment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="variants",
                        to="experiments.experiment",
                    ),
                ),
            ],
            options={
                "ordering": ("id",),
            },
        ),
        migrations.CreateModel(
            name="HistoricalExperiment",
            fields=[
                (
                    "id",
                    models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name="ID"),
                ),
                (
                    "key",
                    models.SlugField(help_text="Names the experiment in URLs; never changes.", max_length=80),
                ),
                ("name", models.CharField(max_length=200)),
                ("description", models.TextField(blank=True, max_length=5000)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("draft", "Draft"),
                            ("active", "Active"),
                            ("paused", "Paused"),
                            ("completed", "Completed"),
                        ],
                        default="active",
                        max_length=10,
                    ),
                ),
                (
                    "reward",
                    models.CharField(
                        choices=[
                            ("ctr", "Clicks per impression"),
                            ("conversion_rate", "Conversions per impression"),
                            ("click_conversion_rate", "Conversions per click"),
                        ],
                        default="ctr",
                        max_length=24,
                    ),
                ),
                ("archived_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("alpha_prior", models.FloatField(blank=True, null=True)),
                ("beta_prior", models.FloatField(blank=True, null=True)),
                ("min_explore_rate", models.FloatField(blank=True, null=True)),
                ("control_floor", models.FloatField(blank=True, null=True)),
                ("max_daily_shift", models.FloatField(blank=True, null=True)),
                ("window_days", models.IntegerField(blank=True, null=True)),
                ("maturity_days", models.IntegerField(blank=True, null=True)),
                ("min_impressions", models.IntegerField(blank=True, null=True)),
                ("day_adjustment", models.BooleanField(blank=True, null=True)),
                ("exploitation", models.FloatField(blank=True, null=True)),
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
                (
                    "winner",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="experiments.variant",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical experiment",
                "verbose_name_plural": "historical experiments",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.AddField(
            model_name="experiment",
            name="winner",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="won_experiments",
                to="experiments.variant",
            ),
        ),
        migrations.CreateModel(
            name="DailyMetric",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("date", models.DateField()),
                ("impressions", models.BigIntegerField()),
                ("clicks", models.BigIntegerField()),
                ("conversions", models.BigIntegerField(default=0)),
                ("updated_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "variant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="daily_metrics",
                        to="experiments.variant",
                    ),
                ),
            ],
            options={
                "ordering": ("date", "variant_id"),
            },
        ),
        migrations.AddConstraint(
            model_name="variant",
            constraint=models.UniqueConstraint(fields=("experiment", "key"), name="variant_key_unique"),
        ),
        migrations.AddConstraint(
            model_name="variant",
            constraint=models.UniqueConstraint(fields=("experiment", "name"), name="variant_name_unique"),
        ),
        migrations.AddConstraint(
            model_name="variant",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_control", True)), fields=("experiment",), name="variant_one_control"
            ),
        ),
        migrations.AddConstraint(
            model_name="variant",
            constraint=models.CheckConstraint(
                condition=models.Q(("is_control", False), ("is_active", True), _connector="OR"),
                name="variant_control_active",
                violation_error_message="The control cannot be retired.",
            ),
        ),
        migrations.AddConstraint(
            model_name="experiment",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["draft", "active", "paused", "completed"])),
                name="experiment_status_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="experiment",
            constraint=models.CheckConstraint(
                condition=models.Q(("reward__in", ["ctr", "conversion_rate", "click_conversion_rate"])),
                name="experiment_reward_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="experiment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("alpha_prior__isnull", True),
                    models.Q(("alpha_prior__gt", 0), ("alpha_prior__lte", 1000000.0)),
                    _connector="OR",
                ),
                name="experiment_alpha_prior_range",
                violation_error_message="alpha_prior must be above 0 to 1,000,000.",
            ),
        ),
        migrations.AddConstraint(
            model_name="experiment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("beta_prior__isnull", True),
                    models.Q(("beta_prior__gt", 0), ("beta_prior__lte", 1000000.0)),
                    _connector="OR",
                ),
                name="experiment_beta_prior_range",
                violation_error_message="beta_prior must be above 0 to 1,000,000.",
            ),
        ),
        migrations.AddConstraint(
            model_name="experiment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("min_explore_rate__isnull", True),
                    models.Q(("min_explore_rate__gte", 0), ("min_explore_rate__lte", 0.5)),
                    _connector="OR",
                ),
                name="experiment_min_explore_rate_range",
                violation_error_message="min_explore_rate must be from 0 to 0.5.",
            ),
        ),
        migrations.AddConstraint(
            model_name="experiment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("control_floor__isnull", True),
                    models.Q(("control_floor__gte", 0), ("control_floor__lte", 0.5)),
                    _connector="OR",
                ),
                name="experiment_control_floor_range",
                violation_error_message="control_floor must be from 0 to 0.5.",
            ),
        ),
        migrations.AddConstraint(
            model_name="experiment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("max_daily_shift__isnull", True),
                    models.Q(("max_daily_shift__gte", 0.0001), ("max_daily_shift__lte", 1)),
                    _connector="OR",
                ),
                name="experiment_max_daily_shift_range",
                violation_error_message="max_daily_shift must be from 0.0001 to 1, a multiple of 0.0001.",
            ),
        ),
        migrations.AddConstraint(
            model_name="experiment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("window_days__isnull", True),
                    models.Q(("window_days__gte", 1), ("window_days__lte", 365)),
                    _connector="OR",
                ),
                name="experiment_window_days_range",
                violation_error_message="window_days must be a whole number from 1 to 365.",
            ),
        ),
        migrations.AddConstraint(
            model_name="experiment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("maturity_days__isnull", True),
                    models.Q(("maturity_days__gte", 0), ("maturity_days__lte", 90)),
                    _connector="OR",
                ),
                name="experiment_maturity_days_range",
                violation_error_message="maturity_days must be a whole number from 0 to 90.",
            ),
        ),
        migrations.AddConstraint(
            model_name="experiment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("min_impressions__isnull", True),
                    models.Q(("min_impressions__gte", 0), ("min_impressions__lte", 1000000000)),
                    _connector="OR",
                ),
                name="experiment_min_impressions_range",
                violation_error_message="min_impressions must be a whole number from 0 to 1,000,000,000.",
            ),
        ),
        migrations.AddConstraint(
            model_name="experiment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("exploitation__isnull", True),
                    models.Q(("exploitation__gt", 0), ("exploitation__lte", 20)),
                    _connector="OR",
                ),
                name="experiment_exploitation_range",
                violation_error_message="exploitation must be above 0 to 20.",
            ),
        ),
        migrations.AddConstraint(
            model_name="experiment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("control_floor__isnull", True),
                    ("min_explore_rate__isnull", True),
                    (
                        "control_floor__lte",
                        django.db.models.expressions.CombinedExpression(
                            models.Value(0.990000001), "-", models.F("min_explore_rate")
                        ),
                    ),
                    _connector="OR",
                ),
                name="experiment_floors_fit",
                violation_error_message="control_floor and min_explore_rate must not exceed 0.99 together.",
            ),
        ),
        migrations.AddConstraint(
            model_name="dailymetric",
            constraint=models.UniqueConstraint(
                fields=("variant", "date"), name="dailymetric_variant_date_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="dailymetric",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("conversions__gte", 0),
                    ("conversions__lte", models.F("clicks")),
                    ("clicks__lte", models.F("impressions")),
                    ("impressions__lte", 1000000000000),
                ),
                name="dailymetric_counts_nested",
                violation_error_message="0 <= conversions <= clicks <= impressions must hold.",
            ),
        ),
    ]
