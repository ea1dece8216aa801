"""Files of counts: those that wait for a confirmation, and what the headers of an experiment's files mean."""

from django.db import models

from experiments.models.experiment import Experiment
from experiments.text import NAME_LENGTH


class CsvUpload(models.Model):
    """A file between its preview and its confirmation; experiments.tables.uploads defines how long it is kept."""

    NAME_LENGTH = 100

    token = models.CharField(max_length=64, unique=True)
    owner = models.CharField(max_length=160, help_text="Who uploaded it: a user, or a visitor.")
    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=NAME_LENGTH)
    content = models.BinaryField()
    columns = models.JSONField(
        default=dict,
        db_default=models.Value({}, models.JSONField()),
        help_text="What its headers mean, as ColumnMapping will keep it once the file is recorded.",
    )
    created_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.name


class ColumnMapping(models.Model):
    """The meaning of a header in an experiment's files, as a person gave it; experiments.tables.mapping reads it."""

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="+")
    header = models.CharField(max_length=NAME_LENGTH, help_text="The header's letters and digits.")
    column = models.CharField(max_length=32, blank=True, help_text="Blank: the column is not needed.")

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("experiment", "header"), name="columnmapping_header_unique"),
        )

    def __str__(self) -> str:
        return self.header
