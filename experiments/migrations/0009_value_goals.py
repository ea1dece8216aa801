"""Goals of value: per impression and per click."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("experiments", "0008_daily_values")]

    operations = [
        migrations.RemoveConstraint(
            model_name="experiment",
            name="experiment_reward_known",
        ),
        migrations.AlterField(
            model_name="experiment",
            name="reward",
            field=models.CharField(
                choices=[
                    ("ctr", "Clicks per impression"),
                    ("conversion_rate", "Conversions per impression"),
                    ("click_conversion_rate", "Conversions per click"),
                    ("value_per_impression", "Value per impression"),
                    ("value_per_click", "Value per click"),
                ],
                default="ctr",
                max_length=24,
            ),
        ),
        migrations.AlterField(
            model_name="historicalexperiment",
            name="reward",
            field=models.CharField(
                choices=[
                    ("ctr", "Clicks per impression"),
                    ("conversion_rate", "Conversions per impression"),
                    ("click_conversion_rate", "Conversions per click"),
                    ("value_per_impression", "Value per impression"),
                    ("value_per_click", "Value per click"),
                ],
                default="ctr",
                max_length=24,
            ),
        ),
        migrations.AddConstraint(
            model_name="experiment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "reward__in",
                        [
                            "ctr",
                            "conversion_rate",
                            "click_conversion_rate",
                            "value_per_impression",
                            "value_per_click",
                        ],
                    )
                ),
                name="experiment_reward_known",
            ),
        ),
    ]
