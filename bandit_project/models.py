"""API keys, what people set for themselves, the record of changes to both, and what jobs have done."""

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _
from rest_framework_api_key.models import AbstractAPIKey


class Scope(models.TextChoices):
    """Permissions of a key. Each of read, write and admin includes the ones before it.

    ``serve`` stands apart, as it may be in any browser: it opens only what visitors' software calls.
    """

    SERVE = "serve", _("Serve: evaluate and count, for visitors' browsers")
    READ = "read", _("Read")
    WRITE = "write", _("Read and write")
    ADMIN = "admin", _("Everything, deleting and resetting too")

    def includes(self, other: "Scope") -> bool:
        return other in _INCLUDED[self]


# What each scope includes, by its value or its member: asked at each call with a key.
_INCLUDED = {
    Scope.SERVE: {Scope.SERVE},
    Scope.READ: {Scope.READ},
    Scope.WRITE: {Scope.READ, Scope.WRITE},
    Scope.ADMIN: {Scope.READ, Scope.WRITE, Scope.ADMIN},
}


class ApiKey(AbstractAPIKey):
    """An API key. It is shown once, when it is made; only its digest is stored."""

    scope = models.CharField(_("scope"), max_length=5, choices=Scope.choices, default=Scope.READ)
    created_by = models.CharField(
        _("created by"), max_length=160, blank=True, default="", db_default="", editable=False
    )
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)

    class Meta(AbstractAPIKey.Meta):
        abstract: ClassVar[bool] = False
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(name="apikey_scope_known", condition=models.Q(scope__in=Scope.values))
        ]


class Theme(models.TextChoices):
    SYSTEM = "system", _("As the system")
    LIGHT = "light", _("Light")
    DARK = "dark", _("Dark")


class UserSettings(models.Model):
    """A person's own settings. Blank: the browser's language, the installation's time zone.

    ``invited_at`` is set from an invitation until it is accepted.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="preferences", verbose_name=_("user")
    )
    language = models.CharField(_("language"), max_length=10, blank=True)
    theme = models.CharField(_("theme"), max_length=6, choices=Theme.choices, default=Theme.SYSTEM)
    time_zone = models.CharField(_("time zone"), max_length=64, blank=True)
    weekly_summary = models.BooleanField(_("weekly summary"), default=False)
    invited_at = models.DateTimeField(_("invited at"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("user settings")
        verbose_name_plural = _("user settings")

    def __str__(self) -> str:
        return str(self.user)


class OidcIdentity(models.Model):
    """A person of an OpenID provider, and the account here. The provider never gives a subject to another person."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="identities")
    issuer = models.CharField(max_length=255)
    subject = models.CharField(max_length=255)
    made_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("issuer", "subject"), name="oidc_identity_one_account"),
            models.UniqueConstraint(fields=("user", "issuer"), name="oidc_identity_one_person"),
        )

    def __str__(self) -> str:
        return f"{self.user}: {self.subject} of {self.issuer}"


class AdministrationChange(models.Model):
    """A change of a user, an API key or a channel, by whom; never changed. ``facts`` hold no secret."""

    class Subject(models.TextChoices):
        USER = "user", _("User")
        KEY = "key", _("API key")
        CHANNEL = "channel", _("Channel")

    at = models.DateTimeField(db_index=True)
    actor = models.CharField(max_length=160, blank=True)
    subject = models.CharField(max_length=10, choices=Subject.choices)
    name = models.CharField(max_length=200)
    action = models.CharField(max_length=30)
    facts: "models.JSONField[Any, Any]" = models.JSONField(default=dict)

    class Meta:
        ordering = ("-at", "-id")

    def __str__(self) -> str:
        return f"{self.name}: {self.action}"


class SentSummary(models.Model):
    """The weekly summary of a user for the week that begins on ``week``; written before it is sent."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="summaries")
    week = models.DateField()
    claimed_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "week"), name="summary_once_a_week"),)

    def __str__(self) -> str:
        return f"{self.user}: {self.week}"


class JobRun(models.Model):
    """A daily job that the scheduler finished on a day, so that it does not run twice."""

    name = models.CharField(max_length=20)
    date = models.DateField()
    finished_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("name", "date"), name="jobrun_once_a_day"),)

    def __str__(self) -> str:
        return f"{self.name} on {self.date}"


class Heartbeat(models.Model):
    """The last time that something which must happen again and again was done."""

    class Job(models.TextChoices):
        SCHEDULER = "scheduler", "scheduler"
        BACKUP = "backup", "backup"

    job = models.CharField(max_length=20, unique=True, choices=Job.choices)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.job} at {self.at}"
