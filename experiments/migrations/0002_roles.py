"""The groups that make a person a viewer, an analyst or an admin."""

from django.db import migrations


def create_groups(apps, schema_editor):
    group = apps.get_model("auth", "Group")
    for name in ("viewer", "analyst", "admin"):
        group.objects.get_or_create(name=name)


class Migration(migrations.Migration):
    dependencies = [
        ("experiments", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]
    # Backwards the groups stay: people may be in them.
    operations = [migrations.RunPython(create_groups, migrations.RunPython.noop)]
