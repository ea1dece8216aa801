"""The name of an experiment in the copy, and in the primary, where it has been renamed since."""

from experiments.database.rows import rows_of
from experiments.models import Experiment

REPLICA = "replica-1"


def names() -> list[object]:
    return [
        *Experiment.objects.values_list("name", flat=True),
        rows_of("SELECT name FROM experiments_experiment", ())[0][0],
    ]


WAS, IS = ["As it was"] * 2, ["As it is"] * 2
