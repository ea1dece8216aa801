"""Channels of notifications, as administrators set them up; each change is recorded, without the secrets."""

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import OuterRef, Subquery
from django.utils.translation import gettext as _

from bandit_project.administration.audit import Subject, record_change
from experiments.campaign.models import tags_text
from experiments.exceptions import ConflictError, InvalidError, Issue, NotFoundError
from experiments.text import is_name
from notifications.channels.kinds import Channel
from notifications.channels.table import CHANNELS
from notifications.delivery import deliver_test, retry
from notifications.events import CHOSEN_KINDS
from notifications.models import Delivery, Endpoint, new_secret

NAME_LENGTH, ADDRESS_LENGTH, TAGS_LENGTH = 100, 500, 500


class Wanted(NamedTuple):
    """A channel as it is to be; no ``events``: all; no ``tags``: all experiments."""

    name: str
    channel: Channel
    address: str
    events: Sequence[str] = ()
    tags: str = ""
    language: str = ""
    is_active: bool = True


class ListedChannel(NamedTuple):
    """A channel with its last delivery, if it has any."""

    channel: Endpoint
    last: Delivery | None


def list_channels() -> list[ListedChannel]:
    """List the channels by name; three queries."""
    latest = Delivery.objects.filter(endpoint=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    ids = Endpoint.objects.values_list(Subquery(latest), flat=True)
    last = {delivery.endpoint_id: delivery for delivery in Delivery.objects.filter(pk__in=[*ids])}
    return [ListedChannel(channel, last.get(channel.pk)) for channel in Endpoint.objects.all()]


def find_channel(channel_id: int) -> Endpoint:
    found = Endpoint.objects.filter(pk=channel_id).first()
    if found is None:
        raise NotFoundError(_("There is no such channel."))
    return found


@transaction.atomic
def create_channel(*, wanted: Wanted, now: dt.datetime) -> Endpoint:
    endpoint = Endpoint(created_at=now, **_checked(wanted))
    endpoint.save()
    record_change(Subject.CHANNEL, endpoint.name, "created", now)
    return endpoint


@transaction.atomic
def change_channel(*, channel_id: int, wanted: Wanted, now: dt.datetime) -> Endpoint:
    """Change a channel; a blank address keeps the one that is stored, as pages do not show it."""
    endpoint = _locked(channel_id)
    if not wanted.address and wanted.channel == endpoint.channel:
        wanted = wanted._replace(address=endpoint.address)
    fields = _checked(wanted)
    changed = [name for name, value in fields.items() if getattr(endpoint, name) != value]
    for name in changed:
        setattr(endpoint, name, fields[name])
    if changed:
        endpoint.save(update_fields=changed)
        record_change(Subject.CHANNEL, endpoint.name, "changed", now, fields=", ".join(changed))
    return endpoint


@transaction.atomic
def renew_secret(*, channel_id: int, now: dt.datetime) -> Endpoint:
    """Give a webhook another secret; the receiver has to know it before the next delivery."""
    endpoint = _locked(channel_id)
    if endpoint.channel != Channel.WEBHOOK:
        raise ConflictError(_("Only webhooks are signed."))
    endpoint.secret = new_secret()
    endpoint.save(update_fields=["secret"])
    record_change(Subject.CHANNEL, endpoint.name, "changed", now, fields="secret")
    return endpoint


@transaction.atomic
def delete_channel(*, channel_id: int, now: dt.datetime) -> str:
    """Delete a channel with the log of its deliveries; return its name."""
    endpoint = _locked(channel_id)
    name = endpoint.name
    endpoint.delete()
    record_change(Subject.CHANNEL, name, "deleted", now)
    return name


def send_test(*, channel_id: int, now: dt.datetime) -> Delivery:
    """Send a test at once; not in a transaction, as it waits for the receiver."""
    return deliver_test(find_channel(channel_id), now)


def retry_delivery(*, channel_id: int, delivery_id: int, now: dt.datetime) -> None:
    """Let a delivery that was given up be tried again."""
    found = Delivery.objects.filter(pk=delivery_id, endpoint=channel_id).first()
    if found is None:
        raise NotFoundError(_("There is no such delivery."))
    if found.state != Delivery.State.GIVEN_UP:
        raise ConflictError(_("This delivery has not failed: it has arrived, or is tried again by itself."))
    retry(found, now)


def _locked(channel_id: int) -> Endpoint:
    found = Endpoint.objects.select_for_update().filter(pk=channel_id).first()
    if found is None:
        raise NotFoundError(_("There is no such channel."))
    return found


def _checked(wanted: Wanted) -> dict[str, object]:
    """Return the fields to store, or raise InvalidError for each that is wrong."""
    tags = tags_text(wanted.tags.replace(",", " ").split())
    issues = [Issue(field, "invalid", message) for field, message in _problems(wanted, tags)]
    if issues:
        raise InvalidError(issues)
    return {**wanted._asdict(), "events": list(wanted.events), "tags": tags}


def _problems(wanted: Wanted, tags: str) -> list[tuple[str, str]]:
    found = []
    if not is_name(wanted.name) or len(wanted.name) > NAME_LENGTH:
        found.append(("name", _("Use 1 to %(most)s visible characters.") % {"most": NAME_LENGTH}))
    if len(wanted.address) > ADDRESS_LENGTH:
        found.append(("address", _("The address is too long.")))
    elif problem := CHANNELS[wanted.channel].address_problem(wanted.address):
        found.append(("address", problem))
    if not set(wanted.events) <= {kind.value for kind in CHOSEN_KINDS}:
        found.append(("events", _("Choose from the events of the list.")))
    if len(tags) > TAGS_LENGTH:
        found.append(("tags", _("These are too many tags.")))
    if wanted.language and wanted.language not in dict(settings.LANGUAGES):
        found.append(("language", _("Choose one of the languages.")))
    return found
