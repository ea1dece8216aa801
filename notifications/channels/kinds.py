"""The kinds of channels, the message that each carries, and how sending it went."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import models
from django.utils.translation import gettext_lazy as _


class Channel(models.TextChoices):
    WEBHOOK = "webhook", _("Webhook (signed JSON)")
    EMAIL = "email", _("Email")
    SLACK = "slack", _("Slack")
    TEAMS = "teams", _("Microsoft Teams")
    DISCORD = "discord", _("Discord")
    SERVICE = "service", _("Another service (Apprise)")


@dataclass(frozen=True)
class Message:
    """One delivery. ``payload`` is the event as JSON; ``secret`` signs webhooks; ``language`` is that of sentences."""

    kind: str
    payload: Mapping[str, Any]
    delivery_id: str
    secret: str
    sent_at: dt.datetime
    language: str = "en"


class Result(NamedTuple):
    """How one attempt went. ``outcome`` is a label of the metrics: delivered, failed or refused."""

    outcome: str
    status_code: int | None = None
    problem: str = ""


def answered(status: int) -> Result:
    """Only an answer of 2xx counts as delivered."""
    if 200 <= status < 300:
        return Result("delivered", status)
    return Result("failed", status, f"answered {status}")
