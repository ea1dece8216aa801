"""Messages to the incoming webhooks of chats: plain JSON, by the transport that refuses private addresses.

An experiment's name is other people's text: it must not call a whole channel, nor look like a link.
"""

import json
from collections.abc import Mapping
from typing import Any

from notifications.channels.kinds import Message, Result, answered
from notifications.channels.wording import words_of
from notifications.transport import post

# Discord refuses longer messages.
_DISCORD_LENGTH = 2000


def send_to_slack(address: str, message: Message) -> Result:
    """Slack's format, which Mattermost and Rocket.Chat take too."""
    subject, sentence = words_of(message)
    return _send(address, {"text": f"*{_slack_text(subject)}*\n{_slack_text(sentence)}"})


def _slack_text(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def send_to_teams(address: str, message: Message) -> Result:
    """Post an adaptive card, as the workflows of Teams take it."""
    subject, sentence = words_of(message)
    lines = [
        {"type": "TextBlock", "text": subject, "weight": "Bolder", "wrap": True},
        {"type": "TextBlock", "text": sentence, "wrap": True},
    ]
    card = {"type": "AdaptiveCard", "version": "1.4", "body": lines}
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return _send(address, {"type": "message", "attachments": [attachment]})


def send_to_discord(address: str, message: Message) -> Result:
    subject, sentence = words_of(message)
    text = f"**{subject}**\n{sentence}"
    mentions_nobody: dict[str, list[str]] = {"parse": []}
    return _send(address, {"content": text[:_DISCORD_LENGTH], "allowed_mentions": mentions_nobody})


def _send(address: str, body: Mapping[str, Any]) -> Result:
    headers = {"Content-Type": "application/json", "User-Agent": "bandit-service"}
    return answered(post(address, json.dumps(body).encode(), headers))
