"""An index of the dates alone, and none that another one answers as well.

In one transaction: while it is built decisions are read and only new ones wait, a second or two for 600,000 of them.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("allocation", "0011_closed_traffic"),
        ("experiments", "0022_changed_from"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="allocation",
            name="allocation_newest",
        ),
        migrations.RemoveIndex(
            model_name="allocation",
            name="allocation_target_date",
        ),
        migrations.AddIndex(
            model_name="allocation",
            index=models.Index(fields=["target_date"], name="allocation_by_date"),
        ),
    ]
