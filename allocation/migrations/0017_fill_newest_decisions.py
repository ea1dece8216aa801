"""The newest decision of each experiment that was decided before the database kept it.

Apart from the triggers, which hold the log's lock until they are made: decisions go on being written meanwhile. One for
today may be kept already where the log has one for a later date.
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
) WHERE true ON CONFLICT (experiment_id) DO UPDATE SET (
    decision, target_date, revision, kind, state, data_through, value_remaining, gained_over_even
) = (
    excluded.decision, excluded.target_date, excluded.revision, excluded.kind, excluded.state, excluded.data_through,
    excluded.value_remaining, excluded.gained_over_even
) WHERE excluded.target_date > allocation_newestdecision.target_date
    OR (excluded.target_date = allocation_newestdecision.target_date
        AND excluded.revision > allocation_newestdecision.revision)
"""


class Migration(migrations.Migration):
    dependencies = [
        ("allocation", "0016_newest_decisions"),
    ]

    operations = [
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
