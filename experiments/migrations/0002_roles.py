"""The groups that make a person a viewer, an analyst or an admin."""

from django.db import migrations

from experiments.roles import Role


def create_groups(apps, schema_editor):
    group = apps.get_model("auth", "Group")
    for role in Role:
        group.objects.get_or_create(name=role.group)


class Migration(migrations.Migration):
    dependencies = [
        ("experiments", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]
    # Backwards the groups stay: people may be in them.
    operations = [migrations.RunPython(create_groups, migrations.RunPython.noop)]
