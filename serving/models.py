"""How much each key has added to the counts of a day, so that a key that is in every browser has a cap."""

from django.db import models


class CountedDay(models.Model):
    """The sum that one key has added on one day of the installation's time zone, over all experiments."""

    principal = models.CharField(max_length=160, help_text="The key, as idempotent answers name it.")
    date = models.DateField()
    counted = models.BigIntegerField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("principal", "date"), name="countedday_unique"),)

    def __str__(self) -> str:
        return f"{self.principal} on {self.date}"
