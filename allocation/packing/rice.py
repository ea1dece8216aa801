"""Small whole numbers as bits, by Golomb-Rice codes: what counts are away from what is expected of them is noise, which
no dictionary compresses; a number takes as many bits as its size.

Each number is cut: its lowest k bits are written as they are, first those of all; the rest, mostly 0 or 1, follows in
unary. k is the one that takes the fewest bits.
Source: Rice & Plaunt, "Adaptive variable-length coding for efficient compression of spacecraft television data" (1971).
"""

import numpy as np
from numpy.typing import NDArray

Whole = NDArray[np.uint64]

# Past it a single number is so far from the others that another form is shorter.
_LONGEST = 1 << 16


def rice(numbers: Whole) -> bytes | None:
    """Write numbers, at least one; None where one is so large beside the others that it would take 8 KB."""
    k = _best_k(numbers)
    rest = (numbers >> np.uint64(k)).astype(np.int64)
    if rest.max() > _LONGEST:
        return None
    rest += 1
    ends, start = rest.cumsum(), numbers.size * k
    bits = np.zeros(start + int(ends[-1]), dtype=np.uint8)
    bits[:start] = _lowest(numbers, k)
    bits[ends + (start - 1)] = 1
    return bytes([k]) + np.packbits(bits).tobytes()


def unrice(packed: bytes, size: int) -> tuple[Whole, int]:
    """Read so many numbers; return the bytes that they took, too."""
    k, bits = packed[0], np.unpackbits(np.frombuffer(packed, dtype=np.uint8, offset=1))
    low = bits[: size * k].reshape(size, k) @ (np.uint64(1) << np.arange(k, dtype=np.uint64))
    ends = np.flatnonzero(bits[size * k :])[:size]
    rest = ends.copy()
    rest[1:] -= ends[:-1] + 1
    numbers = (rest.astype(np.uint64) << np.uint64(k)) + low
    used = size * k + int(ends[-1]) + 1
    return numbers, 1 + (used + 7) // 8


def _lowest(numbers: Whole, k: int) -> NDArray[np.uint8]:
    """The k lowest bits of each number, the lowest first."""
    octets = numbers.astype("<u8").view(np.uint8).reshape(-1, 8)
    return np.unpackbits(octets, axis=1, count=k, bitorder="little").ravel()


def _best_k(numbers: Whole) -> int:
    """Try five around the mean's size, at once: of the bits of all numbers, the unary ones depend on k."""
    near = int(numbers.mean()).bit_length()
    tried = np.arange(max(0, near - 3), near + 2, dtype=np.uint64)
    bits = numbers.size * (tried + 1) + (numbers >> tried[:, None]).sum(axis=1)
    return int(tried[bits.argmin()])
