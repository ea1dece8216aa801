"""The channels that a notification can take, in one table: how each checks an address and sends a message.

A new channel is a member of Channel, its row in CHANNELS, and the migration of its choices.
"""

import datetime as dt
import http.client
import json
import smtplib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.core.validators import validate_email
from django.db import models
from django.utils.translation import gettext_lazy as _

from notifications.addresses import RefusedAddressError, url_problem
from notifications.events import EVENT_TYPES, EventKind
from notifications.transport import post, signature


class Channel(models.TextChoices):
    WEBHOOK = "webhook", _("Webhook")
    EMAIL = "email", _("E-mail")


@dataclass(frozen=True)
class Message:
    """One delivery. ``payload`` is the event as JSON; ``secret`` signs webhooks."""

    kind: str
    payload: Mapping[str, Any]
    delivery_id: str
    secret: str
    sent_at: dt.datetime


class Result(NamedTuple):
    """How one attempt went. ``outcome`` is a label of the metrics: delivered, failed or refused."""

    outcome: str
    status_code: int | None = None
    problem: str = ""


@dataclass(frozen=True)
class _Transport:
    """``address_problem`` says why an address can never be right, or None; ``send`` may raise."""

    address_problem: Callable[[str], str | None]
    send: Callable[[str, Message], Result]


def send(channel: Channel, address: str, message: Message) -> Result:
    """Send a message once; an address that is refused and every failure on the way are results, not errors."""
    try:
        return CHANNELS[channel].send(address, message)
    except RefusedAddressError as error:
        return Result("refused", problem=str(error))
    except (OSError, ValueError, LookupError, http.client.HTTPException, smtplib.SMTPException) as error:
        # ValueError: looking up a name such as a..example.com, or a kind of an earlier version; LookupError: its data
        return Result("failed", problem=f"{type(error).__name__}: {error}")


def _email_problem(address: str) -> str | None:
    try:
        validate_email(address)
    except ValidationError as error:
        return str(error.messages[0])
    return None


def _mail(address: str, message: Message) -> Result:
    subject, body = as_mail(message)
    send_mail(subject, body, None, [address])
    return Result("delivered")


def as_mail(message: Message) -> tuple[str, str]:
    """Subject and body; a subject is one line, whatever the experiment's name holds."""
    experiment = message.payload["experiment"]
    about = f"{experiment['name']}: " if experiment else ""
    kind = EventKind(message.kind)
    subject = " ".join(f"[bandit] {about}{kind.label}".split())
    sentence = EVENT_TYPES[kind].sentence.format_map(message.payload["data"])
    facts = json.dumps(message.payload, indent=2, ensure_ascii=False)
    return subject, f"{sentence}\n\n{facts}\n"


def _call_webhook(address: str, message: Message) -> Result:
    body = json.dumps(message.payload, separators=(",", ":")).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "bandit-service",
        "X-Bandit-Event": message.kind,
        "X-Bandit-Delivery": message.delivery_id,
        "X-Bandit-Signature": signature(message.secret, body, int(message.sent_at.timestamp())),
    }
    status = post(address, body, headers)
    if 200 <= status < 300:
        return Result("delivered", status)
    return Result("failed", status, f"answered {status}")


CHANNELS = {
    Channel.WEBHOOK: _Transport(url_problem, _call_webhook),
    Channel.EMAIL: _Transport(_email_problem, _mail),
}
