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

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence


def assign(experiment_key: str, shares: Mapping[str, float], unit: str) -> str:
    """The key of the variant that ``unit`` sees. Raises ValueError where no variant has a share."""
    return assign_many(experiment_key, shares, [unit])[0]


def assign_many(experiment_key: str, shares: Mapping[str, float], units: Iterable[str]) -> list[str]:
    """The variant of each unit, in order."""
    racing = [
        (key, share, hashlib.sha256(_parts(experiment_key, key)))
        for key, share in shares.items()
        if share > 0
    ]
    if not racing:
        raise ValueError("no variant has a share")
    return [_winner(racing, _parts(unit)) for unit in units]


def _winner(racing: Sequence[tuple[str, float, "hashlib._Hash"]], unit: bytes) -> str:
    """Hash what all units have in common once, and the rest for each."""
    times = []
    for key, share, begun in racing:
        hashed = begun.copy()
        hashed.update(unit)
        times.append((_time(hashed.digest()) / share, key))
    return min(times)[1]


def _parts(*texts: str) -> bytes:
    return b"".join(len(part).to_bytes(8, "big") + part for part in (text.encode() for text in texts))


def _time(digest: bytes) -> float:
    """Compute when the variant would finish the race if it were alone: -ln(u)."""
    number = int.from_bytes(digest[:8], "big") >> 11
    return -math.log((number + 0.5) / 2**53)
