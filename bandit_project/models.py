"""API keys, and the scheduler's finished daily jobs."""

from typing import ClassVar

from django.db import models
from rest_framework_api_key.models import AbstractAPIKey


class Scope(models.TextChoices):
    """Permissions of a key. Each of read, write and admin includes the ones before it.

    ``serve`` stands apart, as it may be in any browser: it opens only what visitors' software calls.
    """

    SERVE = "serve", "Serve: evaluate and count, for visitors' browsers"
    READ = "read", "Read"
    WRITE = "write", "Read and write"
    ADMIN = "admin", "Everything, deleting and resetting too"

    def includes(self, other: "Scope") -> bool:
        if Scope.SERVE in (self, other):
            return self is other
        order = list(Scope)
        return order.index(self) >= order.index(other)


class ApiKey(AbstractAPIKey):
    """An API key. It is shown once, when it is made; only its digest is stored."""

    scope = models.CharField(max_length=5, choices=Scope.choices, default=Scope.READ)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(AbstractAPIKey.Meta):
        abstract: ClassVar[bool] = False
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(name="apikey_scope_known", condition=models.Q(scope__in=Scope.values))
        ]


class JobRun(models.Model):
    """A daily job that the scheduler finished on a day, so that it does not run twice."""

    name = models.CharField(max_length=20)
    date = models.DateField()
    finished_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("name", "date"), name="jobrun_once_a_day"),)

    def __str__(self) -> str:
        return f"{self.name} on {self.date}"
