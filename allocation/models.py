"""The ledger of decisions: append-only, each row with all that went into it and all that explains it."""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from django.db import models
from django.db.models import Exists, OuterRef, Prefetch, Q, Subquery
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from allocation.limits import LIMITS, NO_LIMIT
from allocation.packing import pack, unpack
from experiments.models import Experiment, Variant


class PackedJSONField(models.BinaryField[Any, Any]):
    """JSON, compressed: a year of daily counts of four variants in less than 8 KB, with values in 13 to 19.

    The database cannot look into it.
    """

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        packed = None if value is None else pack(value)
        return super().get_db_prep_value(packed, connection, prepared)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return None if value is None else unpack(bytes(value))

    def deconstruct(self) -> Any:
        """Migrations see the column that it is, and import no code of ours."""
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.BinaryField", args, kwargs

    def to_python(self, value: Any) -> Any:
        """A text is what value_to_string wrote."""
        return json.loads(value) if isinstance(value, str) else value

    def value_to_string(self, obj: models.Model) -> str:
        """Write JSON in a dump, which another version can read."""
        return json.dumps(self.value_from_object(obj), sort_keys=True)


class Kind(models.TextChoices):
    WARM_UP = "warm_up", _("Warm-up")
    OPTIMIZED = "optimized", _("Optimized")
    COMPLETED = "completed", _("Ended")
    GUARD = "guard", _("Stopped by a guard")
    FALLBACK = "fallback", _("Ended on schedule")


# They follow from the status alone, not from the data.
CLOSING = (Kind.COMPLETED, Kind.FALLBACK)


class State(models.TextChoices):
    """The state of the experiment when the decision was made."""

    COLLECTING = "collecting", _("Warming up")
    OPTIMIZING = "optimizing", _("Learning")
    LEADER = "leader", _("Leader (95%)")
    DECIDED = "decided", _("Ready to decide")


@dataclass(frozen=True)
class AsOf:
    """The moment that numbers hold for. ``data_through``: the last day that counts; None without data."""

    date: dt.date
    data_through: dt.date | None


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

    def without_inputs(self) -> Self:
        """Leaves out the recorded inputs, which are large."""
        return self.defer("inputs", "packed_inputs")

    def with_shares(self) -> Self:
        """Shares and their variants in one further query; without the recorded inputs."""
        return self.without_inputs().prefetch_related(shares_with_variants())


class Allocation(models.Model):
    """All shares of an experiment for a target date. A change of inputs makes a new revision."""

    # Indexed by the constraint below, which begins with it.
    experiment = models.ForeignKey(
        Experiment, on_delete=models.CASCADE, related_name="allocations", db_index=False
    )
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
    # How much counts vary beyond chance, since when the rates are others, and what the split has brought up to
    # data_through, in expected successes; the first engine recorded none of them.
    dispersion = models.FloatField(null=True)
    rates_changed_on = models.DateField(null=True)
    gained_over_even = models.FloatField(null=True)
    given_up = models.FloatField(null=True)
    gain_error = models.FloatField(null=True)
    # The variants that harm a guarded metric, as ledger.guards.Harm; null where nothing is guarded.
    harms = models.JSONField(null=True)
    # The inputs, packed (allocation.packing); entries of the first engine keep the JSON that they were written with.
    packed_inputs = PackedJSONField(null=True)
    inputs = models.JSONField(null=True)
    inputs_digest = models.CharField(max_length=64)
    # What the inputs came from (ledger.basis): where it is still so, they need not be read to know that they are equal.
    basis = models.BigIntegerField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now)

    objects = AllocationQuerySet.as_manager()

    class Meta:
        ordering = ("-target_date", "-revision")
        indexes = (
            # The admin's list and its calendar, and what was decided today. Of the date alone, which the index has
            # once for many decisions: a list sorts those of a day.
            models.Index(fields=("target_date",), name="allocation_by_date"),
        )
        constraints = (
            models.UniqueConstraint(
                fields=("experiment", "target_date", "revision"), name="allocation_revision_unique"
            ),
            models.CheckConstraint(name="allocation_kind_known", condition=Q(kind__in=Kind.values)),
            models.CheckConstraint(
                name="allocation_inputs_recorded",
                condition=Q(packed_inputs__isnull=False) | Q(inputs__isnull=False),
            ),
        )

    def __str__(self) -> str:
        words = gettext("%(experiment)s for %(date)s, revision %(revision)s")
        return words % {
            "experiment": self.experiment,
            "date": self.target_date,
            "revision": self.revision,
        }

    @property
    def as_of(self) -> AsOf:
        """The moment that its numbers hold for."""
        return AsOf(self.target_date, self.data_through)

    @property
    def recorded_inputs(self) -> dict[str, Any]:
        """All that the decision was computed from, as JSON."""
        return dict(self.inputs or {}) if self.packed_inputs is None else dict(self.packed_inputs)


class AllocationShare(models.Model):
    """A variant's share in an allocation, and the way from its counts to it."""

    # Indexed by the constraint below, which begins with it.
    allocation = models.ForeignKey(
        Allocation, on_delete=models.CASCADE, related_name="shares", db_index=False
    )
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
    # Effective trials that the variant lacks to be judged, 0 where it has enough; unknown to the first engine.
    missing_trials = models.FloatField(null=True)
    # Where the goal is a value: its sum in the window, its weight as evidence, and the most that one order can make of
    # it. Rates and losses are then values per trial, successes the conversions, and the posterior that of the rate in
    # units of 100,000 times the largest mean.
    value_sum = models.FloatField(null=True)
    effective_orders = models.FloatField(null=True)
    largest_part = models.FloatField(null=True)
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


class SweepMark(models.Model):
    """Facts that a sweep's last decision of an experiment rests on: with the same again there is nothing new.

    ``changed_at`` is the experiment's own, ``decision`` the id of an allocation, and ``rules`` a digest of what is the
    same for all experiments (allocation.sweep.marks).
    """

    experiment = models.OneToOneField(
        Experiment, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    target_date = models.DateField()
    data_version = models.BigIntegerField()
    changed_at = models.DateTimeField()
    decision = models.BigIntegerField()
    mismatch = models.BooleanField()
    rules = models.CharField(max_length=16)

    def __str__(self) -> str:
        return f"{self.experiment}: {self.target_date}"


class ClosedTraffic(models.Model):
    """An experiment's traffic beside its split, added up over the days that are closed, so that a sweep reads the
    later ones alone (allocation.traffic.closed_days).

    ``through`` is the last of these days, and ``decision`` the id of the last allocation for one of them, 0 for none.
    """

    experiment = models.OneToOneField(
        Experiment, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    through = models.DateField()
    decision = models.BigIntegerField()
    days = models.IntegerField()
    compared_days = models.IntegerField()
    # Numbers of 8 bytes, for K variants: ids, shares in force, observed, expected, and K * K products of shares.
    sums = models.BinaryField()

    def __str__(self) -> str:
        return f"{self.experiment}: {self.through}"


class NewestDecision(models.Model):
    """The last entry of an experiment's decision log, beside what lists over all experiments show, sort and add up.

    Triggers on the log keep it (allocation.ledger.newest): a migration that has SQLite write the log's table again
    must make them again.
    """

    experiment = models.OneToOneField(
        Experiment, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    decision = models.BigIntegerField()
    target_date = models.DateField()
    revision = models.PositiveIntegerField()
    kind = models.CharField(max_length=10)
    state = models.CharField(max_length=12)
    data_through = models.DateField(null=True)
    value_remaining = models.FloatField(null=True)
    gained_over_even = models.FloatField(null=True)

    def __str__(self) -> str:
        return f"{self.experiment}: {self.target_date}"


def leading_share(shares: Sequence[AllocationShare]) -> AllocationShare | None:
    """The likeliest to be the best of those with enough data, as the engine breaks ties: by rate, then by id."""
    known = [share for share in shares if share.probability_best is not None and not share.missing_trials]
    return max(known, key=lambda share: (share.probability_best, share.rate, -share.variant_id), default=None)


def is_comparison(shares: Sequence[AllocationShare]) -> bool:
    """False for a decision from data about a single active variant: no other one has a share in it.

    The engine calls that variant the best for certain, and the log keeps it so; it is no result to act on.
    """
    return len(shares) > 1


def shares_with_variants() -> "Prefetch[Any, Any, Any]":
    """Build the prefetch of an allocation's shares and their variants, in one query."""
    return Prefetch("shares", AllocationShare.objects.select_related("variant").order_by("variant_id"))
