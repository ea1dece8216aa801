"""The newest decision after one was deleted by hand: that before it, or none.

Without it a decision for next year, made by mistake and deleted, would be kept as the newest until then.
"""

from django.db import migrations

_NAMES = "target_date, revision, kind, state, data_through, value_remaining, gained_over_even"
# Deleting an experiment deletes the row, too, in whichever order.
_GO_BACK = f"""
    DELETE FROM allocation_newestdecision WHERE {{deleted}} AND NOT EXISTS (
        SELECT 1 FROM allocation_allocation a WHERE a.experiment_id = allocation_newestdecision.experiment_id
    );
    UPDATE allocation_newestdecision SET (decision, {_NAMES}) = (
        SELECT id, {_NAMES} FROM allocation_allocation a
        WHERE a.experiment_id = allocation_newestdecision.experiment_id
        ORDER BY a.target_date DESC, a.revision DESC LIMIT 1
    ) WHERE {{deleted}};
"""  # noqa: S608 (constants only)
_POSTGRESQL = f"""
CREATE FUNCTION allocation_newest_before() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN {_GO_BACK.format(deleted="(experiment_id, decision) IN (SELECT experiment_id, id FROM deleted)")} RETURN NULL;
END $$;
CREATE TRIGGER allocation_newest_deleted AFTER DELETE ON allocation_allocation
    REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION allocation_newest_before();
"""  # noqa: S608
_DROP_POSTGRESQL = """
DROP TRIGGER allocation_newest_deleted ON allocation_allocation;
DROP FUNCTION allocation_newest_before();
"""
_SQLITE = (
    "CREATE TRIGGER allocation_newest_deleted AFTER DELETE ON allocation_allocation BEGIN "
    f"{_GO_BACK.format(deleted='experiment_id = OLD.experiment_id AND decision = OLD.id')} END"
)


def make_trigger(apps, schema_editor):
    on_postgresql = schema_editor.connection.vendor == "postgresql"
    schema_editor.execute(_POSTGRESQL if on_postgresql else _SQLITE, params=None)


def drop_trigger(apps, schema_editor):
    on_postgresql = schema_editor.connection.vendor == "postgresql"
    drop = _DROP_POSTGRESQL if on_postgresql else "DROP TRIGGER allocation_newest_deleted"
    schema_editor.execute(drop, params=None)


class Migration(migrations.Migration):
    dependencies = [
        ("allocation", "0017_fill_newest_decisions"),
    ]

    operations = [
        migrations.RunPython(make_trigger, drop_trigger),
    ]
