"""The signed webhook: the event as JSON."""

import json

from notifications.channels.kinds import Message, Result, answered
from notifications.transport import post, signature


def send(address: str, message: Message) -> Result:
    body = json.dumps(message.payload, separators=(",", ":")).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "bandit-service",
        "X-Bandit-Event": message.kind,
        "X-Bandit-Delivery": message.delivery_id,
        "X-Bandit-Signature": signature(message.secret, body, int(message.sent_at.timestamp())),
    }
    return answered(post(address, body, headers))
