"""Experiments, their variants and what was observed of them."""

import datetime as dt
from functools import partial
from typing import NamedTuple, Self

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Count, F, Max, OuterRef, Q, Subquery, Sum, Value
from django.db.models.functions import Coalesce, Concat
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from experiments.audit import ACTOR_LENGTH, audit_history
from experiments.audit.intake import Intake as Intake  # a model is found here
from experiments.campaign.models import (
    CURRENCY_LENGTH,
    OWNER_LENGTH,
    REASON_LENGTH,
    TAGS_LENGTH,
    End,
    campaign_problems,
)
from experiments.exceptions import StatusConflictError
from experiments.metrics import (
    HIGHEST_VALUE,
    NO_VALUE,
    VALUE_PLACES,
    Reward,
    nesting_condition,
    values_condition,
)
from experiments.settings_schema import (
    ALGORITHM_SETTINGS,
    SettingValue,
    checked_settings,
    setting_constraints,
    setting_problems,
    with_defaults,
)
from experiments.text import NAME_LENGTH

_text_field = partial(models.CharField, blank=True, default="", db_default="")
_amount_field = partial(models.DecimalField, max_digits=20, decimal_places=VALUE_PLACES)

MAX_VARIANTS = 100


class Status(models.TextChoices):
    DRAFT = "draft", _("Draft")
    ACTIVE = "active", _("Active")
    PAUSED = "paused", _("Paused")
    COMPLETED = "completed", _("Ended")

    @property
    def word(self) -> str:
        """The pages' word within a sentence; for the one that the API calls otherwise also the API's."""
        said = str(self.label).lower()
        return f"{said} ({self.value})" if self is Status.COMPLETED else said


TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.DRAFT: frozenset({Status.ACTIVE}),
    Status.ACTIVE: frozenset({Status.PAUSED, Status.COMPLETED}),
    Status.PAUSED: frozenset({Status.ACTIVE, Status.COMPLETED}),
    Status.COMPLETED: frozenset(),
}
TAKES_EVENTS = frozenset({Status.ACTIVE, Status.PAUSED})


class DataSummary(NamedTuple):
    """Summary of an experiment's data up to a date; days count where there were impressions."""

    latest_date: dt.date | None
    days_with_data: int
    total_impressions: int


class ExperimentQuerySet(models.QuerySet["Experiment"]):
    def with_data_summary(self, target_date: dt.date) -> Self:
        """Add ``data_summary`` of the data up to ``target_date``."""
        reported = DailyMetric.objects.filter(
            variant__experiment=OuterRef("pk"), date__lte=target_date, impressions__gt=0
        ).values("variant__experiment")
        return self.annotate(
            latest_date=Subquery(reported.annotate(latest=Max("date")).values("latest")),
            days_with_data=Coalesce(
                Subquery(reported.annotate(days=Count("date", distinct=True)).values("days")), 0
            ),
            total_impressions=Coalesce(
                Subquery(reported.annotate(total=Sum("impressions")).values("total")),
                0,
                output_field=models.DecimalField(max_digits=30, decimal_places=0),
            ),
        )

    def running(self) -> Self:
        """Keep those that are active and not archived."""
        return self.filter(status=Status.ACTIVE, archived_at=None)

    def with_variants(self) -> Self:
        """Fetch the variants too, in the order of their ids, which is Variant's own."""
        return self.prefetch_related("variants")

    def for_allocation(self, target_date: dt.date) -> Self:
        """Add the summary of the data up to ``target_date``, and the variants."""
        return self.with_data_summary(target_date).with_variants()

    def tagged(self, tag: str) -> Self:
        """Keep those that have this tag, whole, in capitals or not."""
        between = Concat(Value(" "), "tags", Value(" "), output_field=models.CharField())
        return self.alias(spaced_tags=between).filter(spaced_tags__contains=f" {tag.lower()} ")

    def active_since(self, moment: dt.datetime) -> Self:
        """Keep those that are active and not archived, and by their history were active at ``moment`` already."""
        earlier = Experiment.history.filter(id=OuterRef("pk"), history_date__lt=moment)
        last = Subquery(earlier.order_by("-history_date", "-history_id").values("status")[:1])
        # without a record of that time, the status has not changed since the creation
        then = Coalesce(last, Value(Status.ACTIVE.value), output_field=models.CharField())
        old = self.filter(status=Status.ACTIVE, archived_at=None, created_at__lt=moment)
        return old.alias(status_then=then).filter(status_then=Status.ACTIVE)


class Experiment(models.Model):
    """A comparison of variants, and the rules that split its traffic."""

    key = models.SlugField(
        max_length=80, unique=True, help_text=_("Names the experiment in URLs; never changes.")
    )
    name = models.CharField(max_length=NAME_LENGTH)
    description = models.TextField(blank=True, max_length=5000)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ACTIVE)
    reward = models.CharField(max_length=24, choices=Reward.choices, default=Reward.CTR)
    winner = models.ForeignKey(
        "Variant", on_delete=models.SET_NULL, null=True, blank=True, related_name="won_experiments"
    )
    decision_reason = models.TextField(
        blank=True,
        default="",
        db_default="",
        max_length=REASON_LENGTH,
        help_text=_("Why it was completed as it was."),
    )
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Everything that may change an allocation (ingestion, settings, variants, status) raises it in its own transaction.
    # It shows if an answer is still up to date.
    data_version = models.BigIntegerField(default=0, editable=False)
    # The earliest day whose counts were written since the sweep last added up the traffic.
    changed_from = models.DateField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    owner = _text_field(max_length=OWNER_LENGTH, help_text=_("The person or team to ask."))
    tags = _text_field(max_length=TAGS_LENGTH, help_text=_("Words, with a space between them."))
    currency = _text_field(
        max_length=CURRENCY_LENGTH, help_text=_("What values are counted in, such as EUR.")
    )
    value_cap = _amount_field(
        null=True, blank=True, help_text=_("Single values above it count as this much, for every variant.")
    )
    fixed_variants = models.BooleanField(
        default=False, db_default=False, help_text=_("Data of a variant that is not known yet are refused.")
    )
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    on_end = models.CharField(
        max_length=10,
        choices=End.choices,
        default=End.PAUSE,
        db_default=End.PAUSE,
        help_text=_("What happens at ends_at."),
    )
    on_end_variant = models.ForeignKey(
        "Variant",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text=_("Gets all traffic at ends_at, where on_end names a variant."),
    )
    complete_when_decided = models.BooleanField(
        default=False, db_default=False, help_text=_("Completes by itself, with the leader, once decided.")
    )
    # When it ended, by whom (blank: by itself or by a command), and the status that an undo gives back.
    completed_at = models.DateTimeField(null=True, blank=True, editable=False)
    completed_by = _text_field(max_length=ACTOR_LENGTH, editable=False)
    status_before_end = _text_field(max_length=10, editable=False)
    # When what on_end says was done, and the first day that counts for guards since a person resumed.
    ended_at = models.DateTimeField(null=True, blank=True, editable=False)
    guards_since = models.DateField(null=True, blank=True, editable=False)

    alpha_prior = models.FloatField(null=True, blank=True)
    beta_prior = models.FloatField(null=True, blank=True)
    min_explore_rate = models.FloatField(null=True, blank=True)
    control_floor = models.FloatField(null=True, blank=True)
    max_daily_shift = models.FloatField(null=True, blank=True)
    window_days = models.IntegerField(null=True, blank=True)
    maturity_days = models.IntegerField(null=True, blank=True)
    min_impressions = models.IntegerField(null=True, blank=True)
    day_adjustment = models.BooleanField(null=True, blank=True)
    exploitation = models.FloatField(null=True, blank=True)
    memory = models.BooleanField(null=True, blank=True)
    dispersion = models.BooleanField(null=True, blank=True)

    objects = ExperimentQuerySet.as_manager()
    history = audit_history(
        excluded_fields=[
            "data_version",
            "changed_from",
            "updated_at",
            "completed_at",
            "completed_by",
            "status_before_end",
        ]
    )

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = (
            models.CheckConstraint(name="experiment_status_known", condition=Q(status__in=Status.values)),
            models.CheckConstraint(name="experiment_reward_known", condition=Q(reward__in=Reward.values)),
            models.CheckConstraint(name="experiment_on_end_known", condition=Q(on_end__in=End.values)),
            models.CheckConstraint(
                name="experiment_ends_after_start",
                condition=Q(starts_at=None) | Q(ends_at=None) | Q(ends_at__gt=F("starts_at")),
                violation_error_message="ends_at must be after starts_at.",
            ),
            models.CheckConstraint(
                name="experiment_value_cap_range",
                condition=Q(value_cap=None) | Q(value_cap__gt=0, value_cap__lte=HIGHEST_VALUE),
                violation_error_message="value_cap must be a positive number, or blank for none.",
            ),
            *setting_constraints(),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def goal(self) -> Reward:
        """The goal with its counts and their words."""
        return Reward(self.reward)

    @property
    def is_open(self) -> bool:
        """True until it is completed or archived: it can be changed."""
        return self.status != Status.COMPLETED and self.archived_at is None

    @property
    def has_ended(self) -> bool:
        """True once its end has come and was acted on; a later ends_at is another end."""
        return self.ended_at is not None and self.ends_at is not None and self.ended_at >= self.ends_at

    @property
    def takes_events(self) -> bool:
        return self.status in TAKES_EVENTS and self.archived_at is None

    @property
    def data_summary(self) -> DataSummary:
        """Summary of an experiment that was read by ``with_data_summary``."""
        annotated = {name: self.__dict__[name] for name in DataSummary._fields}
        return DataSummary(**annotated | {"total_impressions": int(annotated["total_impressions"])})

    def own_settings(self) -> dict[str, SettingValue | None]:
        """Settings of this experiment; None follows the installation."""
        return {name: getattr(self, name) for name in ALGORITHM_SETTINGS}

    def merged_settings(self) -> dict[str, SettingValue]:
        """Lay its own settings over the installation's defaults."""
        return with_defaults(self.own_settings())

    def every_variant(self) -> "models.QuerySet[Variant]":
        """All variants. Where they were read with it no manager is made, which takes longer than to look at them."""
        held = vars(self).get("_prefetched_objects_cache", {}).get("variants")
        return self.variants.all() if held is None else held

    def settings_in_force(self) -> dict[str, SettingValue]:
        """Return the merged settings; raise InvalidError where they clash."""
        return checked_settings(self.own_settings())

    @property
    def state_word(self) -> str:
        """Its status as a word within a sentence; an archived experiment is called archived."""
        return gettext("archived") if self.archived_at else Status(self.status).word

    def status_conflict(self, refusal: str) -> StatusConflictError:
        """Build the error of a refused move, with the states it can move to; archived it moves to none."""
        following = [] if self.archived_at else sorted(TRANSITIONS[Status(self.status)])
        return StatusConflictError(
            gettext("Experiment %(key)r %(refusal)s") % {"key": self.key, "refusal": refusal},
            status_now=self.status,
            allowed=following,
        )

    @property
    def tag_list(self) -> list[str]:
        return self.tags.split()

    def clean(self) -> None:
        """Check ranges and steps of the settings, with the messages of their table, and the campaign's fields."""
        problems = setting_problems(self.merged_settings())
        said = {name: f"{name} {problem}" for name, problem in problems.items()} | campaign_problems(self)
        if said:
            raise ValidationError(said)


class Variant(models.Model):
    """One of the variants compared. Retired (not active) it keeps its data and has no share."""

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="variants")
    key = models.CharField(max_length=NAME_LENGTH, help_text=_("The first name; never changes."))
    name = models.CharField(max_length=NAME_LENGTH)
    is_control = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    history = audit_history()

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(fields=("experiment", "key"), name="variant_key_unique"),
            models.UniqueConstraint(fields=("experiment", "name"), name="variant_name_unique"),
            models.UniqueConstraint(
                fields=("experiment",), condition=Q(is_control=True), name="variant_one_control"
            ),
            models.CheckConstraint(
                name="variant_control_active",
                condition=Q(is_control=False) | Q(is_active=True),
                violation_error_message="The control cannot be retired.",
            ),
        )

    def __str__(self) -> str:
        return self.name


class DailyMetric(models.Model):
    """Totals of one variant on one day of the installation's time zone. Rates are never stored."""

    # Indexed by the constraint below, which begins with it.
    variant = models.ForeignKey(
        Variant, on_delete=models.CASCADE, related_name="daily_metrics", db_index=False
    )
    date = models.DateField()
    impressions = models.BigIntegerField()
    clicks = models.BigIntegerField()
    conversions = models.BigIntegerField(default=0)
    value_sum = _amount_field(default=NO_VALUE, db_default=NO_VALUE)
    value_squares = models.FloatField(default=0.0, db_default=0.0)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("date", "variant_id")
        # For the admin's list and its calendar: newest days first, over all experiments.
        indexes = (models.Index(fields=("date", "variant"), name="dailymetric_date"),)
        constraints = (
            models.UniqueConstraint(fields=("variant", "date"), name="dailymetric_variant_date_unique"),
            models.CheckConstraint(
                name="dailymetric_counts_nested",
                condition=nesting_condition(),
                violation_error_message="0 <= clicks <= impressions and 0 <= conversions <= impressions must hold.",
            ),
            models.CheckConstraint(
                name="dailymetric_values_possible",
                condition=values_condition(),
                violation_error_message="No values have this sum and this sum of squares.",
            ),
        )

    def __str__(self) -> str:
        return f"{self.variant} on {self.date}"
