"""What viewers, analysts and admins may do in the admin."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

from bandit_project.permissions import permissions_of
from experiments.roles import Role

_APPS = ("experiments", "allocation", "notifications", "bandit_project", "auth", "axes")


def give_permissions(apps, schema_editor):
    # Django makes the permissions once all migrations have run; these are needed now.
    for label in _APPS:
        create_permissions(installed.get_app_config(label), verbosity=0, using=schema_editor.connection.alias)
    permissions, groups = apps.get_model("auth", "Permission"), apps.get_model("auth", "Group")
    for role in Role:
        group, _ = groups.objects.get_or_create(name=role.group)
        group.permissions.add(*permissions_of(role, permissions.objects.all()))


def take_permissions(apps, schema_editor):
    for group in apps.get_model("auth", "Group").objects.filter(name__in=[role.group for role in Role]):
        group.permissions.clear()


class Migration(migrations.Migration):
    dependencies = [
        ("bandit_project", "0002_job_runs"),
        ("experiments", "0004_pending_imports_and_metric_dates"),
        ("allocation", "0002_target_date_index"),
        ("notifications", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("axes", "0001_initial"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [migrations.RunPython(give_permissions, take_permissions)]
