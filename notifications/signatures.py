"""The signature of a webhook: HMAC-SHA256 of the time and the body, as X-Bandit-Signature: t=<seconds>,v1=<hex>.

The time is signed too, so that a receiver can refuse an old message that someone sends again. docs/operations.md
shows how to verify it.
"""

import hashlib
import hmac


def signature(secret: str, body: bytes, timestamp: int) -> str:
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"
