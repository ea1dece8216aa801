"""The channels that a notification can take, in one table: how each checks an address and sends a message.

A new channel is a member of Channel, its row in CHANNELS, and the migration of its choices. Where people paste a URL,
it is called by transport.py alone, which refuses private addresses.
"""

import http.client
import smtplib
from collections.abc import Callable
from dataclasses import dataclass

from notifications.addresses import RefusedAddressError, url_problem
from notifications.channels import apprise_services, chats, mails, webhooks
from notifications.channels.kinds import Channel, Message, Result


@dataclass(frozen=True)
class _Transport:
    """``address_problem`` says why an address can never be right, or None; ``send`` may raise."""

    address_problem: Callable[[str], str | None]
    send: Callable[[str, Message], Result]


CHANNELS = {
    Channel.WEBHOOK: _Transport(url_problem, webhooks.send),
    Channel.EMAIL: _Transport(mails.address_problem, mails.send),
    Channel.SLACK: _Transport(url_problem, chats.send_to_slack),
    Channel.TEAMS: _Transport(url_problem, chats.send_to_teams),
    Channel.DISCORD: _Transport(url_problem, chats.send_to_discord),
    Channel.SERVICE: _Transport(apprise_services.address_problem, apprise_services.send),
}


def send(channel: Channel, address: str, message: Message) -> Result:
    """Send a message once; an address that is refused and every failure on the way are results, not errors."""
    try:
        return CHANNELS[channel].send(address, message)
    except RefusedAddressError as error:
        return Result("refused", problem=str(error))
    except (OSError, ValueError, LookupError, http.client.HTTPException, smtplib.SMTPException) as error:
        # ValueError: looking up a name such as a..example.com, or a kind of an earlier version; LookupError: its data
        return Result("failed", problem=f"{type(error).__name__}: {error}")
