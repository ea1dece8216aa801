"""Everyone without a role becomes a viewer, which they were in effect: an account without a role sees nothing now."""

from django.db import migrations


def make_viewers(apps, schema_editor):
    users, groups = apps.get_model("auth", "User"), apps.get_model("auth", "Group")
    viewer, _ = groups.objects.get_or_create(name="viewer")
    without = users.objects.filter(is_superuser=False).exclude(
        groups__name__in=["viewer", "analyst", "admin"]
    )
    viewer.user_set.add(*without.values_list("pk", flat=True))


class Migration(migrations.Migration):
    dependencies = [("bandit_project", "0006_people"), ("experiments", "0002_roles")]
    # Backwards they stay viewers, which changes nothing there.
    operations = [migrations.RunPython(make_viewers, migrations.RunPython.noop)]
