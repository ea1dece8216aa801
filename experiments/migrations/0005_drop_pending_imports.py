from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("experiments", "0004_pending_imports_and_metric_dates"),
    ]

    operations = [
        migrations.DeleteModel(
            name="PendingImport",
        ),
    ]
