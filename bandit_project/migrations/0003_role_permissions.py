"""Permissions in the admin, role by role. A person of a role also needs "staff status" to get in.

Viewers look, analysts correct data and experiments, admins do everything: keys, endpoints with their secrets, people.
The lists are those of this moment: a role is changed by a new migration that adds or removes permissions.
"""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations
from django.db.models import Q

_LOOK = [
    ("experiments", "view_experiment"),
    ("experiments", "view_variant"),
    ("experiments", "view_dailymetric"),
    ("experiments", "view_historicalexperiment"),
    ("experiments", "view_historicalvariant"),
    ("allocation", "view_allocation"),
    ("allocation", "view_allocationshare"),
    ("notifications", "view_alarm"),
]
_EDIT = [
    ("experiments", "change_experiment"),
    ("experiments", "add_variant"),
    ("experiments", "change_variant"),
    ("experiments", "change_dailymetric"),
]
_ALL_OF = ["experiments", "allocation", "notifications", "bandit_project", "auth", "axes"]


def _named(pairs):
    found = Q(pk=None)
    for app, codename in pairs:
        found |= Q(content_type__app_label=app, codename=codename)
    return found


_PERMISSIONS = {
    "viewer": _named(_LOOK),
    "analyst": _named([*_LOOK, *_EDIT]),
    "admin": Q(content_type__app_label__in=_ALL_OF),
}


def give_permissions(apps, schema_editor):
    # Django makes the permissions once all migrations have run; these are needed now.
    for label in _ALL_OF:
        create_permissions(installed.get_app_config(label), verbosity=0, using=schema_editor.connection.alias)
    permissions, groups = apps.get_model("auth", "Permission"), apps.get_model("auth", "Group")
    for name, allowed in _PERMISSIONS.items():
        group, _ = groups.objects.get_or_create(name=name)
        group.permissions.add(*permissions.objects.filter(allowed))


def take_permissions(apps, schema_editor):
    for group in apps.get_model("auth", "Group").objects.filter(name__in=_PERMISSIONS):
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
