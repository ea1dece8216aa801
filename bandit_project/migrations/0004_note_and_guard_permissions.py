"""Permissions on notes and guards in the admin: viewers look, analysts write and change, admins do everything."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

_LOOK = ["view_note", "view_guard", "view_historicalguard"]
_EDIT = [*_LOOK, "add_note", "delete_note", "add_guard", "change_guard", "delete_guard"]
_ALL = [
    f"{act}_{model}"
    for model in ("note", "guard", "historicalguard")
    for act in ("view", "add", "change", "delete")
]
_PERMISSIONS = {"viewer": _LOOK, "analyst": _EDIT, "admin": _ALL}


def give_permissions(apps, schema_editor):
    # Django makes the permissions once all migrations have run; these are needed now.
    create_permissions(
        installed.get_app_config("experiments"), verbosity=0, using=schema_editor.connection.alias
    )
    permissions, groups = apps.get_model("auth", "Permission"), apps.get_model("auth", "Group")
    for name, codenames in _PERMISSIONS.items():
        group, _ = groups.objects.get_or_create(name=name)
        allowed = permissions.objects.filter(content_type__app_label="experiments", codename__in=codenames)
        group.permissions.add(*allowed)


def take_permissions(apps, schema_editor):
    permissions = apps.get_model("auth", "Permission")
    taken = permissions.objects.filter(content_type__app_label="experiments", codename__in=_ALL)
    for group in apps.get_model("auth", "Group").objects.filter(name__in=_PERMISSIONS):
        group.permissions.remove(*taken)


class Migration(migrations.Migration):
    dependencies = [
        ("bandit_project", "0003_role_permissions"),
        ("experiments", "0012_guards"),
    ]
    operations = [migrations.RunPython(give_permissions, take_permissions)]
