"""Endpoints of notifications, the events they are notified of (the outbox), and every attempt to deliver one."""

import secrets
import uuid
from typing import Any, Self
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from experiments.models import Experiment
from notifications.channels.kinds import Channel
from notifications.channels.table import CHANNELS
from notifications.events import ALARM_KINDS, EventKind


def new_secret() -> str:
    return f"whsec_{secrets.token_urlsafe(32)}"


class Endpoint(models.Model):
    """A channel of notifications: where they go, which, about which experiments, in which language.

    The address of a chat is a secret, as is what signs webhooks: pages show neither again.
    """

    name = models.CharField(_("name"), max_length=100)
    channel = models.CharField(_("kind"), max_length=10, choices=Channel.choices, default=Channel.WEBHOOK)
    address = models.CharField(_("address"), max_length=500, help_text=_("A URL, or an email address."))
    events = models.JSONField(_("events"), default=list, blank=True, help_text=_("None chosen: all."))
    tags = models.CharField(
        _("tags"),
        max_length=500,
        blank=True,
        default="",
        db_default="",
        help_text=_("Of experiments, separated by spaces. Blank: all."),
    )
    language = models.CharField(_("language"), max_length=10, blank=True, default="", db_default="")
    secret = models.CharField(
        _("secret"), max_length=100, default=new_secret, help_text=_("Signs each webhook.")
    )
    is_active = models.BooleanField(_("is active"), default=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        ordering = ("name", "id")
        verbose_name = _("channel")
        verbose_name_plural = _("channels")

    def __str__(self) -> str:
        return self.name

    @property
    def masked_address(self) -> str:
        """Enough of the address to tell one from another; a mail address is no secret."""
        if self.channel == Channel.EMAIL:
            return self.address
        parts = urlsplit(self.address)
        host = "" if self.channel == Channel.SERVICE else f"{parts.netloc.rpartition('@')[2]}/"
        return f"{parts.scheme}://{host}…"

    def wants(self, kind: str, about: Experiment | None = None) -> bool:
        """True where it takes events of this kind about this experiment; no experiment stands for any."""
        if not self.is_active or (self.events and kind not in self.events):
            return False
        own = set(self.tags.split())
        return not own or about is None or not own.isdisjoint(about.tags.lower().split())

    def clean(self) -> None:
        """Refuse an address that can never be right; where its name leads is checked at every delivery."""
        if problem := CHANNELS[Channel(self.channel)].address_problem(self.address):
            raise ValidationError({"address": problem})


class Event(models.Model):
    """Something that happened, written in the transaction of what caused it. ``payload`` is what is sent."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=30, choices=EventKind.choices)
    experiment = models.ForeignKey(Experiment, on_delete=models.SET_NULL, null=True, blank=True)
    payload = models.JSONField()
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ("-created_at", "id")

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def waiting(self) -> Self:
        """Keeps the deliveries that will still be tried."""
        return self.filter(state=Delivery.State.WAITING, endpoint__is_active=True)


class Delivery(models.Model):
    """An event on its way to one endpoint. An endpoint's deliveries go out in the order of their ids."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        DELIVERED = "delivered", _("Delivered")
        GIVEN_UP = "given_up", _("Failed")

    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="deliveries")
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="deliveries")
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    attempts_made = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField()
    created_at = models.DateTimeField(db_index=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = "deliveries"
        indexes = (
            models.Index(fields=("endpoint", "id"), condition=Q(state="waiting"), name="delivery_waiting"),
        )
        constraints = (models.UniqueConstraint(fields=("event", "endpoint"), name="delivery_once_each"),)

    def __str__(self) -> str:
        return str(self.public_id)


class Attempt(models.Model):
    """An attempt to deliver, as it went; never changed."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="attempts")
    at = models.DateTimeField()
    status_code = models.PositiveSmallIntegerField(null=True)
    problem = models.CharField(max_length=300, blank=True)
    duration_ms = models.PositiveIntegerField()

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return self.problem or f"answered {self.status_code}"


class Alarm(models.Model):
    """A condition worth a notification, from its beginning to its end: notified once, however long it lasts."""

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="alarms")
    kind = models.CharField(max_length=30, choices=[(kind.value, kind.label) for kind in ALARM_KINDS])
    facts: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    raised_at = models.DateTimeField()
    cleared_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-raised_at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=("experiment", "kind"), condition=Q(cleared_at=None), name="alarm_one_open"
            ),
        )

    def __str__(self) -> str:
        return f"{self.experiment}: {self.get_kind_display()}"
