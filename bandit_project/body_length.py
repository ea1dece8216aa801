"""The length that a request gives for its body."""

from collections.abc import Mapping
from typing import Any

# A length of more digits counts as this one, beyond every limit: int() refuses to read thousands of them.
_LONGEST = 10**18


def body_length(environ: Mapping[str, Any]) -> int | None:
    """Read Content-Length, 0 where there is none; None where it is no length."""
    length = environ.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdigit()):
        return None
    digits = length.lstrip("0") or "0"
    return int(digits) if len(digits) < len(str(_LONGEST)) else _LONGEST
