"""A row with the newest decision of each experiment, kept by triggers on the decision log."""

import django.db.models.deletion
from django.db import migrations, models

_NAMES = (
    "decision",
    "target_date",
    "revision",
    "kind",
    "state",
    "data_through",
    "value_remaining",
    "gained_over_even",
)
_GIVEN = ("id", *_NAMES[1:])
_KEEP_NEWEST = f"""ON CONFLICT (experiment_id) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in _NAMES)}
    WHERE excluded.target_date > allocation_newestdecision.target_date
    OR (excluded.target_date = allocation_newestdecision.target_date
        AND excluded.revision >= allocation_newestdecision.revision)
    OR excluded.decision = allocation_newestdecision.decision"""
_INTO = f"INSERT INTO allocation_newestdecision (experiment_id, {', '.join(_NAMES)})"

# Once for a statement, however many decisions it writes. Its search path stays that of the migration,
# for a restore sets another.
_POSTGRESQL = f"""
CREATE FUNCTION allocation_keep_newest() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    {_INTO}
    SELECT DISTINCT ON (experiment_id) experiment_id, {", ".join(_GIVEN)} FROM written
    ORDER BY experiment_id, target_date DESC, revision DESC
    {_KEEP_NEWEST};
    RETURN NULL;
END $$;
CREATE TRIGGER allocation_newest_inserted AFTER INSERT ON allocation_allocation
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION allocation_keep_newest();
CREATE TRIGGER allocation_newest_updated AFTER UPDATE ON allocation_allocation
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION allocation_keep_newest();
"""  # noqa: S608 (constants only)
_DROP_POSTGRESQL = """
DROP TRIGGER allocation_newest_inserted ON allocation_allocation;
DROP TRIGGER allocation_newest_updated ON allocation_allocation;
DROP FUNCTION allocation_keep_newest();
"""
_ACTS = {"inserted": "INSERT", "updated": "UPDATE"}
_SQLITE = [
    f"CREATE TRIGGER allocation_newest_{name} AFTER {act} ON allocation_allocation BEGIN "
    f"{_INTO} VALUES (NEW.experiment_id, {', '.join(f'NEW.{given}' for given in _GIVEN)}) {_KEEP_NEWEST}; END"
    for name, act in _ACTS.items()
]


def make_triggers(apps, schema_editor):
    # a statement that the schema editor runs must have no parameters: a list of none
    for statement in [_POSTGRESQL] if schema_editor.connection.vendor == "postgresql" else _SQLITE:
        schema_editor.execute(statement, params=None)


def drop_triggers(apps, schema_editor):
    own = [f"DROP TRIGGER allocation_newest_{name}" for name in _ACTS]
    for statement in [_DROP_POSTGRESQL] if schema_editor.connection.vendor == "postgresql" else own:
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [
        ("allocation", "0015_basis"),
        ("experiments", "0022_changed_from"),
    ]

    operations = [
        migrations.CreateModel(
            name="NewestDecision",
            fields=[
                (
                    "experiment",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="experiments.experiment",
                    ),
                ),
                ("decision", models.BigIntegerField()),
                ("target_date", models.DateField()),
                ("revision", models.PositiveIntegerField()),
                ("kind", models.CharField(max_length=10)),
                ("state", models.CharField(max_length=12)),
                ("data_through", models.DateField(null=True)),
                ("value_remaining", models.FloatField(null=True)),
                ("gained_over_even", models.FloatField(null=True)),
            ],
        ),
        migrations.RunPython(make_triggers, drop_triggers),
    ]
