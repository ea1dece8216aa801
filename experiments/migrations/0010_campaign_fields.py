"""Owner, tags, currency, value cap, start and end of an experiment, and what happens then."""

from decimal import Decimal

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("experiments", "0009_value_goals")]

    operations = [
        migrations.AddField(
            model_name="experiment",
            name="complete_when_decided",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Completes by itself, with the leader, once decided.",
            ),
        ),
        migrations.AddField(
            model_name="experiment",
            name="currency",
            field=models.CharField(
                blank=True,
                default="",
                db_default="",
                help_text="What values are counted in, such as EUR.",
                max_length=16,
            ),
        ),
        migrations.AddField(
            model_name="experiment",
            name="decision_reason",
            field=models.TextField(
                blank=True,
                default="",
                db_default="",
                help_text="Why it was completed as it was.",
                max_length=2000,
            ),
        ),
        migrations.AddField(
            model_name="experiment",
            name="ends_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="experiment",
            name="fixed_variants",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Data of a variant that is not known yet are refused.",
            ),
        ),
        migrations.AddField(
            model_name="experiment",
            name="on_end",
            field=models.CharField(
                choices=[
                    ("pause", "Pause: the last split stays"),
                    ("control", "The control gets all traffic"),
                    ("leader", "The leader gets all traffic"),
                    ("variant", "A chosen variant gets all traffic"),
                ],
                db_default="pause",
                default="pause",
                help_text="What happens at ends_at.",
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="experiment",
            name="on_end_variant",
            field=models.ForeignKey(
                blank=True,
                help_text="Gets all traffic at ends_at, where on_end names a variant.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="experiments.variant",
            ),
        ),
        migrations.AddField(
            model_name="experiment",
            name="owner",
            field=models.CharField(
                blank=True, default="", db_default="", help_text="The person or team to ask.", max_length=80
            ),
        ),
        migrations.AddField(
            model_name="experiment",
            name="starts_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="experiment",
            name="tags",
            field=models.CharField(
                blank=True,
                default="",
                db_default="",
                help_text="Words, with a space between them.",
                max_length=820,
            ),
        ),
        migrations.AddField(
            model_name="experiment",
            name="value_cap",
            field=models.DecimalField(
                blank=True,
                decimal_places=4,
                help_text="Single values above it count as this much, for every variant.",
                max_digits=20,
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="historicalexperiment",
            name="complete_when_decided",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Completes by itself, with the leader, once decided.",
            ),
        ),
        migrations.AddField(
            model_name="historicalexperiment",
            name="currency",
            field=models.CharField(
                blank=True,
                default="",
                db_default="",
                help_text="What values are counted in, such as EUR.",
                max_length=16,
            ),
        ),
        migrations.AddField(
            model_name="historicalexperiment",
            name="decision_reason",
            field=models.TextField(
                blank=True,
                default="",
                db_default="",
                help_text="Why it was completed as it was.",
                max_length=2000,
            ),
        ),
        migrations.AddField(
            model_name="historicalexperiment",
            name="ends_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="historicalexperiment",
            name="fixed_variants",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Data of a variant that is not known yet are refused.",
            ),
        ),
        migrations.AddField(
            model_name="historicalexperiment",
            name="on_end",
            field=models.CharField(
                choices=[
                    ("pause", "Pause: the last split stays"),
                    ("control", "The control gets all traffic"),
                    ("leader", "The leader gets all traffic"),
                    ("variant", "A chosen variant gets all traffic"),
                ],
                db_default="pause",
                default="pause",
                help_text="What happens at ends_at.",
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="historicalexperiment",
            name="on_end_variant",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                help_text="Gets all traffic at ends_at, where on_end names a variant.",
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="experiments.variant",
            ),
        ),
        migrations.AddField(
            model_name="historicalexperiment",
            name="owner",
            field=models.CharField(
                blank=True, default="", db_default="", help_text="The person or team to ask.", max_length=80
            ),
        ),
        migrations.AddField(
            model_name="historicalexperiment",
            name="starts_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="historicalexperiment",
            name="tags",
            field=models.CharField(
                blank=True,
                default="",
                db_default="",
                help_text="Words, with a space between them.",
                max_length=820,
            ),
        ),
        migrations.AddField(
            model_name="historicalexperiment",
            name="value_cap",
            field=models.DecimalField(
                blank=True,
                decimal_places=4,
                help_text="Single values above it count as this much, for every variant.",
                max_digits=20,
                null=True,
            ),
        ),
        migrations.AddConstraint(
            model_name="experiment",
            constraint=models.CheckConstraint(
                condition=models.Q(("on_end__in", ["pause", "control", "leader", "variant"])),
                name="experiment_on_end_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="experiment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("starts_at", None),
                    ("ends_at", None),
                    ("ends_at__gt", models.F("starts_at")),
                    _connector="OR",
                ),
                name="experiment_ends_after_start",
                violation_error_message="ends_at must be after starts_at.",
            ),
        ),
        migrations.AddConstraint(
            model_name="experiment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("value_cap", None),
                    models.Q(("value_cap__gt", 0), ("value_cap__lte", Decimal("1000000000000000"))),
                    _connector="OR",
                ),
                name="experiment_value_cap_range",
                violation_error_message="value_cap must be a positive number, or blank for none.",
            ),
        ),
    ]
