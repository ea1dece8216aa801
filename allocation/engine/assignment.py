"""Which variant does this unit see? The same one everywhere, as long as the shares stand.

Weighted rendezvous hashing: each variant draws a uniform u_i in (0, 1) from a hash of (experiment key, variant key,
unit), and the variant with the smallest -ln(u_i) / share_i is served. An exponential race: variant i wins with
chance share_i. Nothing is stored; any client that follows these steps answers the same:

1. the text: experiment key, variant key and unit, each as UTF-8 behind its length in bytes as 8 bytes, big-endian
2. SHA-256 of it; its first 8 bytes as a big-endian integer, shifted right by 11 bits: 53 bits, h
3. u = (h + 0.5) / 2^53

When shares move by d = sum(max(new - old, 0)), at most 2 d / (1 + d) of the units change, exactly d of two variants.
Source: Moulton & Jiang, "Maximally consistent sampling and the Jaccard index of probability distributions" (2018).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

import numpy as np

# Logarithms of numpy and of the C library may differ in their last bits. Where two variants come in so close to each
# other, relatively, the latter decides, as it does for a unit alone.
_PHOTO_FINISH = 1e-12


def assign(experiment_key: str, shares: Mapping[str, float], unit: str) -> str:
    """The key of the variant that ``unit`` sees. Raises ValueError where no variant has a share."""
    return Race(experiment_key, shares).winner(unit)


def assign_many(experiment_key: str, shares: Mapping[str, float], units: Iterable[str]) -> list[str]:
    """The variant of each unit, in order."""
    return Race(experiment_key, shares).winners(list(units))


class Race:
    """The race of an experiment's variants; what all units have in common is made once."""

    def __init__(self, experiment_key: str, shares: Mapping[str, float]) -> None:
        # In the order of keys, so that the first of equals wins.
        racing = [(key, share) for key, share in sorted(shares.items()) if share > 0]
        if not racing:
            raise ValueError("no variant has a share")
        self._keys = [key for key, _ in racing]
        self._shares = [share for _, share in racing]
        self._heads = [_behind_length(experiment_key) + _behind_length(key) for key in self._keys]

    def winner(self, unit: str) -> str:
        """The key of the variant that the unit sees."""
        tail = _behind_length(unit)
        times = [
            _time(sha256(head + tail).digest()) / share
            for head, share in zip(self._heads, self._shares, strict=True)
        ]
        return self._keys[times.index(min(times))]

    def winners(self, units: Sequence[str]) -> list[str]:
        """The key of each unit's variant, in order, from arrays."""
        if not units:
            return []
        tails = [_behind_length(unit) for unit in units]
        digests = b"".join([sha256(head + tail).digest() for head in self._heads for tail in tails])
        numbers = np.frombuffer(digests, ">u8").reshape(len(self._heads), len(tails), -1)[:, :, 0] >> 11
        times = -np.log((numbers + 0.5) / 2**53) / np.array(self._shares)[:, np.newaxis]
        found = [self._keys[place] for place in times.argmin(axis=0)]
        close = (times <= times.min(axis=0) * (1 + _PHOTO_FINISH)).sum(axis=0) > 1
        for place in np.flatnonzero(close).tolist():
            found[place] = self.winner(units[place])
        return found


def _behind_length(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(8, "big") + encoded


def _time(digest: bytes) -> float:
    """Compute when the variant would finish the race if it were alone: -ln(u)."""
    number = int.from_bytes(digest[:8], "big") >> 11
    return -math.log((number + 0.5) / 2**53)
