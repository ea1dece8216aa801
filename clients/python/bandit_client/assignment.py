"""Which variant does this unit see? The answer of the service, computed here.

Weighted rendezvous hashing: each variant draws a uniform u from a hash of (experiment, variant, unit), and the variant
with the smallest -ln(u) / share is served. The steps, which every client follows to the bit:

1. the text: experiment key, variant key and unit, each as UTF-8 behind its length in bytes as 8 bytes, big-endian
2. SHA-256 of it; its first 8 bytes as a big-endian integer, shifted right by 11 bits: 53 bits, h
3. u = (h + 0.5) / 2^53
"""

import math
from collections.abc import Mapping
from hashlib import sha256

SHARE_UNIT = 10_000
_UNIFORM_STEPS = 2.0**53


# Names of this module are found faster than attributes: this is the client's hot path.
_from_bytes, _log = int.from_bytes, math.log


class Race:
    """The race of an experiment's variants for a unit. ``shares`` are integers of 1/10,000."""

    __slots__ = ("_runners",)

    def __init__(self, experiment: str, shares: Mapping[str, int]) -> None:
        # In the order of keys, so that the first of equals wins; what does not hang on the unit is computed once.
        self._runners = [
            (key, _behind_length(experiment.encode()) + _behind_length(key.encode()), share / SHARE_UNIT)
            for key, share in sorted(shares.items())
            if share > 0
        ]
        if not self._runners:
            raise ValueError(f"experiment {experiment}: no variant has a share")

    def winner(self, unit: str) -> str:
        """The key of the variant that the unit sees."""
        runners = self._runners
        if len(runners) == 1:
            return runners[0][0]
        text = unit.encode()
        tail = len(text).to_bytes(8, "big") + text
        best, best_time = "", math.inf
        for key, head, share in runners:
            number = _from_bytes(sha256(head + tail).digest()[:8], "big") >> 11
            time = -_log((number + 0.5) / _UNIFORM_STEPS) / share
            if time < best_time:
                best, best_time = key, time
        return best


def _behind_length(text: bytes) -> bytes:
    return len(text).to_bytes(8, "big") + text
