"""The newest decision of each experiment that was decided before the database kept it.

Apart from the triggers, which hold the log's lock until they are made: decisions go on being written meanwhile.
"""

from django.db import migrations

FILL = """
INSERT INTO allocation_newestdecision (experiment_id, decision, target_date, revision, kind, state, data_through,
    value_remaining, gained_over_even)
SELECT a.experiment_id, a.id, a.target_date, a.revision, a.kind, a.state, a.data_through, a.value_remaining,
    a.gained_over_even
FROM experiments_experiment e JOIN allocation_allocation a ON a.id = (
    SELECT n.id FROM allocation_allocation n WHERE n.experiment_id = e.id
    ORDER BY n.target_date DESC, n.revision DESC LIMIT 1
) WHERE true ON CONFLICT (experiment_id) DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies = [
        ("allocation", "0016_newest_decisions"),
    ]

    operations = [
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
