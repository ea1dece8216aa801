"""Recorded inputs as bytes: JSON, with the daily counts as binary columns beside it, compressed.

Digits of counts hardly compress. Each count is written as its distance from what the one before lets expect (so many
clicks of the impressions), in integers of as few bytes as the largest needs, all lowest bytes together, then the next
ones: a year of four variants takes less than 8 KB, whatever the traffic. What earlier versions packed, JSON alone,
begins with zlib's own first byte and stays readable.
"""

import json
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]

# The first byte of this format; that of zlib is 0x78.
_COLUMNS = b"\x01"
_LENGTH = 4
# The columns in this order, each count a part of the one before.
_NAMES = ("impressions", "clicks", "conversions")


def pack(value: Any) -> bytes:
    columns = _columns(value)
    if not columns:
        return zlib.compress(_json(value), 9)
    heads: list[dict[str, float]] = []
    body, before = b"", np.zeros_like(columns[_NAMES[0]])
    for column in columns.values():
        part = float(column.sum() / max(before.sum(), 1))
        folded = _fold(column - _expected(before, part))
        width = _width(folded)
        heads.append({"part": part, "width": width})
        body += _planes(folded, width)
        before = column
    rest = {**value, "counts": {name: v for name, v in value["counts"].items() if name not in columns}}
    text = _json({"shape": before.shape, "columns": heads, "rest": rest})
    return _COLUMNS + zlib.compress(len(text).to_bytes(_LENGTH, "little") + text + body, 9)


def unpack(packed: bytes) -> Any:
    if packed[:1] != _COLUMNS:
        return json.loads(zlib.decompress(packed))
    plain = zlib.decompress(packed[1:])
    start = _LENGTH + int.from_bytes(plain[:_LENGTH], "little")
    head = json.loads(plain[_LENGTH:start])
    before, value = np.zeros(head["shape"], dtype=np.int64), head["rest"]
    for name, column in zip(_NAMES, head["columns"], strict=True):
        end = start + before.size * column["width"]
        planes = np.frombuffer(plain[start:end], dtype=np.uint8).reshape(column["width"], -1)
        before = _expected(before, column["part"]) + _unfold(planes).reshape(before.shape)
        value["counts"][name] = before.tolist()
        start = end
    return value


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _columns(value: Any) -> dict[str, Numbers]:
    """The counts, variants by days; empty where they are recorded in another form."""
    counts = value.get("counts") if isinstance(value, Mapping) else None
    if not isinstance(counts, Mapping) or not all(name in counts for name in _NAMES):
        return {}
    columns = {name: np.array(counts[name]) for name in _NAMES}
    shapes = {column.shape for column in columns.values()}
    whole = all(column.dtype == np.int64 and column.ndim == 2 for column in columns.values())
    return columns if whole and len(shapes) == 1 and columns[_NAMES[0]].size else {}


def _expected(before: Numbers, part: float) -> Numbers:
    return np.asarray(np.rint(before * part), dtype=np.int64)


def _fold(numbers: Numbers) -> NDArray[np.uint64]:
    """Numbers near 0, on either side, as small ones of 0 or more."""
    return ((numbers << 1) ^ (numbers >> 63)).astype(np.uint64)


def _unfold(planes: NDArray[np.uint8]) -> Numbers:
    folded = np.zeros(planes.shape[1], dtype=np.int64)
    for place, plane in enumerate(planes):
        folded |= plane.astype(np.int64) << 8 * place
    return np.asarray((folded >> 1) ^ -(folded & 1))


def _width(numbers: NDArray[np.uint64]) -> int:
    """Bytes of the largest number."""
    return max(1, (int(numbers.max()).bit_length() + 7) // 8)


def _planes(numbers: NDArray[np.uint64], width: int) -> bytes:
    return numbers.astype("<u8").reshape(-1).view(np.uint8).reshape(-1, 8).T[:width].tobytes()
