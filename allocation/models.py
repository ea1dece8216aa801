"""The ledger of decisions: append-only, each row with all that went into it and all that explains it."""

import datetime as dt
from collections.abc import Sequence
from typing import Self

from django.db import models
from django.db.models import Exists, OuterRef, Prefetch, Q, Subquery
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from allocation.limits import LIMITS, NO_LIMIT
from experiments.models import Experiment, Variant


class Kind(models.TextChoices):
    WARM_UP = "warm_up", _("Warm-up")
    OPTIMIZED = "optimized", _("Optimized")
    COMPLETED = "completed", _("Completed")


class State(models.TextChoices):
    """The state of the experiment when the decision was made."""

    COLLECTING = "collecting", _("Collecting")
    OPTIMIZING = "optimizing", _("Optimizing")
    LEADER = "leader", _("Leader found")
    DECIDED = "decided", _("Decided")


class AllocationQuerySet(models.QuerySet["Allocation"]):
    def last_revisions(self) -> Self:
        """Keeps the revision that counts for each experiment and target date."""
        later = Allocation.objects.filter(
            experiment=OuterRef("experiment"),
            target_date=OuterRef("target_date"),
            revision__gt=OuterRef("revision"),
        )
        return self.filter(~Exists(later))

    def in_force_on(self, date: dt.date) -> Self:
        """The newest decision first, of those for ``date`` or earlier."""
        return self.filter(target_date__lte=date).order_by("-target_date", "-revision")

    def newest_of(
        self, experiment_ids: "Sequence[int] | models.QuerySet[Experiment, int]", date: dt.date
    ) -> Self:
        """Keeps the allocation of each experiment that is in force on ``date``."""
        in_force = self.filter(experiment=OuterRef("pk")).in_force_on(date)
        experiments = Experiment.objects.filter(pk__in=experiment_ids)
        return self.filter(
            pk__in=experiments.annotate(newest=Subquery(in_force.values("pk")[:1])).values("newest")
        )

    def with_shares(self) -> Self:
        """Shares and their variants in one further query; leaves out the recorded inputs, which are large."""
        shares = AllocationShare.objects.select_related("variant").order_by("variant_id")
        return self.defer("inputs").prefetch_related(Prefetch("shares", queryset=shares))


class Allocation(models.Model):
    """All shares of an experiment for a target date. A change of inputs makes a new revision."""

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="allocations")
    target_date = models.DateField()
    revision = models.PositiveIntegerField()
    engine_version = models.CharField(max_length=20)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    reason = models.CharField(max_length=1000)
    state = models.CharField(max_length=12, choices=State.choices, blank=True)
    window_start = models.DateField(null=True)
    window_end = models.DateField(null=True)
    data_through = models.DateField(null=True)
    value_remaining = models.FloatField(null=True)
    # Totals over the window, so that a history need not read the inputs.
    window_impressions = models.BigIntegerField(default=0)
    window_clicks = models.BigIntegerField(default=0)
    inputs = models.JSONField()
    inputs_digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)

    objects = AllocationQuerySet.as_manager()

    class Meta:
        ordering = ("-target_date", "-revision")
        indexes = (
            # The newest entry of a ledger, asked for by every classic read.
            models.Index(fields=("experiment", "-id"), name="allocation_newest"),
            # The admin's list and its calendar, and what was decided today.
            models.Index(fields=("target_date", "id"), name="allocation_target_date"),
        )
        constraints = (
            models.UniqueConstraint(
                fields=("experiment", "target_date", "revision"), name="allocation_revision_unique"
            ),
            models.CheckConstraint(name="allocation_kind_known", condition=Q(kind__in=Kind.values)),
        )

    def __str__(self) -> str:
        return f"{self.experiment} for {self.target_date}, revision {self.revision}"


class AllocationShare(models.Model):
    """A variant's share in an allocation, and the way from its counts to it."""

    allocation = models.ForeignKey(Allocation, on_delete=models.CASCADE, related_name="shares")
    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, related_name="allocation_shares")
    share = models.DecimalField(max_digits=5, decimal_places=4)
    previous_share = models.DecimalField(max_digits=5, decimal_places=4, null=True)
    trials = models.BigIntegerField(default=0)
    successes = models.BigIntegerField(default=0)
    effective_trials = models.FloatField(null=True)
    evidence_kept = models.FloatField(null=True)
    posterior_alpha = models.FloatField(null=True)
    posterior_beta = models.FloatField(null=True)
    rate = models.FloatField(null=True)
    rate_low = models.FloatField(null=True)
    rate_high = models.FloatField(null=True)
    probability_best = models.FloatField(null=True)
    expected_loss = models.FloatField(null=True)
    target = models.FloatField(null=True)
    bound = models.CharField(
        max_length=20, choices=[(limit.key, limit.label) for limit in LIMITS.values()], default=NO_LIMIT
    )

    class Meta:
        ordering = ("variant_id",)
        constraints = (
            models.UniqueConstraint(fields=("allocation", "variant"), name="allocationshare_variant_unique"),
            models.CheckConstraint(
                name="allocationshare_share_range", condition=Q(share__gte=0) & Q(share__lte=1)
            ),
            models.CheckConstraint(name="allocationshare_bound_known", condition=Q(bound__in=list(LIMITS))),
        )

    def __str__(self) -> str:
        return f"{self.variant}: {self.share}"
