"""Links by which people without an account read the report of one experiment."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from experiments.audit import ACTOR_LENGTH
from experiments.models import Experiment


class ReportLink(models.Model):
    """A link to one report. It is shown once, when it is made; only the digest of its token is stored."""

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="report_links")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_by = models.CharField(max_length=ACTOR_LENGTH, blank=True, editable=False)
    created_at = models.DateTimeField(editable=False)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_by = models.CharField(max_length=ACTOR_LENGTH, blank=True, default="", editable=False)

    class Meta:
        verbose_name = _("report link")
        verbose_name_plural = _("report links")
        ordering = ("-created_at", "-id")

    def __str__(self) -> str:
        return f"{self.experiment} until {self.expires_at:%Y-%m-%d}"
