import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("experiments", "0002_roles"),
    ]

    operations = [
        migrations.CreateModel(
            name="CsvUpload",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("token", models.CharField(max_length=64, unique=True)),
                (
                    "owner",
                    models.CharField(help_text="Who uploaded it: a user, or a visitor.", max_length=160),
                ),
                ("name", models.CharField(max_length=100)),
                ("content", models.BinaryField()),
                ("created_at", models.DateTimeField(db_index=True)),
                (
                    "experiment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="experiments.experiment",
                    ),
                ),
            ],
        ),
    ]
