"""The earliest day whose counts were written since the sweep last added up the traffic."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("experiments", "0021_redundant_indexes"),
    ]

    operations = [
        migrations.AddField(
            model_name="experiment",
            name="changed_from",
            field=models.DateField(blank=True, editable=False, null=True),
        ),
    ]
