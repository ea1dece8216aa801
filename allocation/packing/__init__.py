"""Recorded inputs as bytes: JSON, compressed, with the daily counts as binary columns beside it.

Digits of counts hardly compress. Each count is written as its distance from what the one before lets expect (so many
clicks of the impressions, as many impressions as the day before), in as many bits as that takes (packing.rice): a
year of four variants takes less than 8 KB, whatever the traffic. Counts beside values, or far from each other, take the
form that all once had: integers of as few bytes as the largest needs, all lowest bytes together, then the next ones.
Values follow as whole numbers of their last decimal place (see ``_Decimals``). 8 KB cannot hold their digits, which are
noise: a year of four variants takes 13 KB with 2 orders of each a day, 15 KB with 15, 17 KB with 150 and 19 KB with
1,500. What earlier versions packed begins with another byte and stays readable: JSON alone, or beside columns, or
without the dictionary.
"""

import json
import zlib
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from allocation.packing.rice import rice, unrice
from allocation.packing.slim import slim, whole

Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]

# The first byte of each format; that of zlib is 0x78. Those that are written use the dictionary.
_COLUMNS, _WITH_VALUES, _IN_BITS = b"\x03", b"\x04", b"\x05"
_WITHOUT_DICTIONARY = (b"\x01", b"\x02")
# The JSON of an ordinary decision, of which an entry then holds what is different: a third less for sixty days. It
# never changes: what was packed with it cannot be read without it. Another one is another format.
DICTIONARY = (
    '"guarding":{"rules":[{"action":"act","max_fall":5.0,"metric":"conversion_rate"}],"since":null,"stopped":false},'
    '"reward":"conversion_rate","values":[{"part":0.0,"places":2,"ulps":0,"width":3}],'
    '{"columns":[{"part":100000.0,"width":2},{"part":0.05,"width":1},{"part":0.1,"width":1}],'
    '"rest":{"completed":false,"counts":{"days":['
    + ",".join(map(str, range(200)))
    + '],"first_date":"2026-01-01"},"days_with_data":60,"earlier_impressions":0,"engine_version":"2","gains":{'
    '"gain_error":100.0,"gained_over_even":200.0,"given_up":200.0,"open":{"2026-01-01":[0,0,0,0]}},"mismatch":false,'
    '"previous":{"1":0.1,"2":0.2},"reward":"ctr","rules":4,"settings":{"alpha_prior":1.0,"beta_prior":null,'
    '"control_floor":0.1,"day_adjustment":true,"dispersion":true,"exploitation":1.0,"maturity_days":0,'
    '"max_daily_shift":0.2,"memory":true,"min_explore_rate":0.05,"min_impressions":1000,"window_days":null},'
    '"target_date":"2026-01-01","variants":[{"days_with_data":60,"id":1,"is_active":true,"is_control":true,'
    '"key":"control"},{"days_with_data":60,"id":2,"is_active":true,"is_control":false,"key":"variant_b"}],'
    '"winner":null},"shape":[4,60]}'
).encode()
# The same of those in bits, whose JSON is slim.
DICTIONARY_OF_BITS = (
    b'"reward":"conversion_rate","guarding":{"rules":[{"action":"act","max_fall":5.0,"metric":"conversion_rate"}],'
    b'"since":null,"stopped":false},"_variants":{"days_with_data":[60,60],"id":[1,2],"is_active":[true,true],'
    b'"is_control":[true,false],"key":["control","variant_b"]},'
    b'{"_days":60,"_previous":[0.1,0.2,0.3,0.4],"_variants":{"days_with_data":[60,60,60,60],"id":[1,2,3,4],'
    b'"is_active":[true,true,true,true],"is_control":[true,false,false,false],"key":["control","variant_b","variant_c",'
    b'"variant_d"]},"completed":false,"counts":{"first_date":"2026-01-01"},"days_with_data":60,"earlier_impressions":0,'
    b'"engine_version":"2","gains":{"gain_error":100.0,"gained_over_even":200.0,"given_up":200.0,"open":{'
    b'"2026-01-01":[0,0,0,0]}},"mismatch":false,"reward":"ctr","rules":4,"settings":{"alpha_prior":1.0,"beta_prior":null,'
    b'"control_floor":0.1,"day_adjustment":true,"dispersion":true,"exploitation":1.0,"maturity_days":0,'
    b'"max_daily_shift":0.2,"memory":true,"min_explore_rate":0.05,"min_impressions":1000,"window_days":null},'
    b'"target_date":"2026-01-01","winner":null}'
)
_LENGTH = 4
# Ten times what a day can have. What is expected of larger counts, or of some below 0, may not fit into 64 bits.
_LARGEST_COUNT = 10**13
# What the counts of a day and variant take, and the JSON: past it another form may be shorter.
_USUAL_BYTES, _USUAL_JSON = 4, 200
# Without the marks that zlib puts around it.
_BARE = -zlib.MAX_WBITS
# The columns in this order, each count a part of the one before.
_NAMES = ("impressions", "clicks", "conversions")
_VALUES = ("value_sum", "value_squares")
# Whole numbers below it are exact as floats.
_EXACT = 2.0**53
_MOST_PLACES = 8
# Of the squares of amounts with cents.
_USUAL_PLACES = 4
# Distances from the nearest decimal that two bytes hold, in units of a float's last digit.
_MOST_ULPS = 2**15


class _Decimals(NamedTuple):
    """Floats as whole numbers of a decimal place, ``whole / 10**places``, and how far each float is from that.

    ``ulps`` are 0 where the floats are the nearest to decimals; sums of such floats are a few units away.
    """

    places: int
    whole: Numbers
    ulps: Numbers

    def floats(self) -> Floats:
        return np.asarray(((self.whole / 10.0**self.places).view(np.int64) + self.ulps).view(np.float64))


def pack(value: Any) -> bytes:
    columns = _columns(value)
    if not columns:
        return zlib.compress(_json(value), 9)
    in_bits = b"" if set(_VALUES) & value["counts"].keys() else _pack_in_bits(value, columns)
    if in_bits and len(in_bits) <= _USUAL_BYTES * columns[_NAMES[0]].size + _USUAL_JSON:
        return in_bits
    in_bytes = _pack_in_bytes(value, columns)
    return min(in_bits or in_bytes, in_bytes, key=len)


def _pack_in_bits(value: Any, columns: Mapping[str, Numbers]) -> bytes:
    """Pack counts alone; nothing where a count is too far from the others."""
    names = {name: numbers for name, numbers in value["counts"].items() if name not in columns}
    packer = zlib.compressobj(9, wbits=_BARE, zdict=DICTIONARY_OF_BITS)
    text = packer.compress(_json(slim({**value, "counts": names}))) + packer.flush()
    counts = np.array([*columns.values()])
    totals = counts.sum(axis=(1, 2)).tolist()
    parts = np.array([b / max(a, 1) for a, b in pairwise(totals)], dtype="<f4")
    away = counts.copy()
    away[0, :, 1:] -= counts[0, :, :-1]
    away[1:] -= _expected(counts[:-1], parts.astype(np.float64)[:, None, None])
    packed = [rice(numbers) for numbers in _fold(away).reshape(len(away), -1)]
    if None in packed:
        return b""
    head = np.array(counts.shape[1:], dtype="<u4").tobytes() + parts.tobytes()
    return b"".join([_IN_BITS, text, head, *filter(None, packed)])


def _unpack_in_bits(packed: bytes, last: str = _NAMES[-1]) -> tuple[Any, dict[str, Numbers]]:
    """Return the inputs, and beside them the counts, up to ``last``: each is a part of the one before."""
    unpacker = zlib.decompressobj(wbits=_BARE, zdict=DICTIONARY_OF_BITS)
    value = whole(json.loads(unpacker.decompress(packed[1:])))
    rest = unpacker.unused_data
    shape = tuple(np.frombuffer(rest, dtype="<u4", count=2).tolist())
    parts = np.frombuffer(rest, dtype="<f4", count=2, offset=8).tolist()
    before, start = np.zeros(shape, dtype=np.int64), 16
    columns: dict[str, Numbers] = {}
    for name, part in zip(_NAMES, (None, *parts), strict=True):
        numbers, used = unrice(rest[start:], before.size)
        away = _unfolded(numbers).reshape(shape)
        columns[name] = before = np.cumsum(away, axis=1) if part is None else _expected(before, part) + away
        start += used
        if name == last:
            break
    return value, columns


def _pack_in_bytes(value: Any, columns: Mapping[str, Numbers]) -> bytes:
    heads: list[dict[str, float]] = []
    body, before = b"", np.zeros_like(columns[_NAMES[0]])
    for column in columns.values():
        part = float(column.sum() / max(before.sum(), 1))
        folded = _fold(column - _expected(before, part))
        width = _width(folded)
        heads.append({"part": part, "width": width})
        body += _planes(folded, width)
        before = column
    values, value_heads = _values(value["counts"], before), []
    for decimals in values.values():
        head, packed = _pack_decimals(decimals, before)
        value_heads.append(head)
        body += packed
        before = decimals.whole
    taken = {*columns, *values}
    rest = {**value, "counts": {name: v for name, v in value["counts"].items() if name not in taken}}
    head_of_all = {"shape": before.shape, "columns": heads, "rest": rest}
    text = _json({**head_of_all, "values": value_heads} if values else head_of_all)
    packer = zlib.compressobj(9, zdict=DICTIONARY)
    plain = len(text).to_bytes(_LENGTH, "little") + text + body
    return (_WITH_VALUES if values else _COLUMNS) + packer.compress(plain) + packer.flush()


def unpack_until(packed: bytes, last: str) -> Any:
    """Unpack for numpy: counts may be arrays, variants by days, and those behind the one called ``last`` missing."""
    if packed[:1] != _IN_BITS:
        return unpack(packed)
    value, columns = _unpack_in_bits(packed, last)
    value["counts"] |= columns
    return value


def unpack(packed: bytes) -> Any:
    if packed[:1] == _IN_BITS:
        value, columns = _unpack_in_bits(packed)
        value["counts"] |= {name: numbers.tolist() for name, numbers in columns.items()}
        return value
    plain = _plain(packed)
    if plain is None:
        return json.loads(zlib.decompress(packed))
    start = _LENGTH + int.from_bytes(plain[:_LENGTH], "little")
    head = json.loads(plain[_LENGTH:start])
    before, value = np.zeros(head["shape"], dtype=np.int64), head["rest"]
    for name, column in zip(_NAMES, head["columns"], strict=True):
        end = start + before.size * column["width"]
        planes = np.frombuffer(plain[start:end], dtype=np.uint8).reshape(column["width"], -1)
        before = _expected(before, column["part"]) + _unfold(planes).reshape(before.shape)
        value["counts"][name] = before.tolist()
        start = end
    for name, column in zip(_VALUES, head.get("values", ()), strict=False):
        decimals, start = _unpack_decimals(column, before, plain, start)
        value["counts"][name] = decimals.floats().tolist()
        before = decimals.whole
    return value


def _plain(packed: bytes) -> bytes | None:
    """Decompress JSON and columns; None where it is JSON alone."""
    if packed[:1] in (_COLUMNS, _WITH_VALUES):
        return zlib.decompressobj(zdict=DICTIONARY).decompress(packed[1:])
    return zlib.decompress(packed[1:]) if packed[:1] in _WITHOUT_DICTIONARY else None


def _values(counts: Mapping[str, Any], like: Numbers) -> dict[str, _Decimals]:
    """The values as decimals; empty where there are none, or one is no such number."""
    lists = [counts[name] for name in _VALUES if name in counts]
    if len(lists) != len(_VALUES) or not all(_is_floats(rows, like.shape) for rows in lists):
        return {}
    found = [_decimals(np.array(rows)) for rows in lists]
    return {name: one for name, one in zip(_VALUES, found, strict=True) if one} if all(found) else {}


def _is_floats(rows: Any, shape: tuple[int, ...]) -> bool:
    return (
        isinstance(rows, list)
        and len(rows) == shape[0]
        and all(isinstance(row, list) and len(row) == shape[1] for row in rows)
        and all(type(number) is float for row in rows for number in row)
    )


def _decimals(column: Floats) -> _Decimals | None:
    """The fewest decimal places that give the floats back; None where they are no near decimals."""
    if not np.isfinite(column).all() or np.signbit(column).any():
        return None
    for places in range(_MOST_PLACES + 1):
        found = _of_places(column, places)
        if found is None:
            break
        if not found.ulps.any():
            return found
    near = _of_places(column, _USUAL_PLACES)
    return near if near and np.abs(near.ulps).max() < _MOST_ULPS else None


def _of_places(column: Floats, places: int) -> _Decimals | None:
    """The nearest decimals of so many places; None where they are too large."""
    if column.max() >= _EXACT / 10.0**places:
        return None
    scaled = np.rint(column * 10.0**places)
    ulps = column.view(np.int64) - (scaled / 10.0**places).view(np.int64)
    return _Decimals(places, scaled.astype(np.int64), ulps)


def _pack_decimals(decimals: _Decimals, before: Numbers) -> tuple[dict[str, float], bytes]:
    part = float(decimals.whole.sum() / max(before.sum(), 1))
    head: dict[str, float] = {"places": decimals.places, "part": part}
    body = b""
    for name, numbers in (("width", decimals.whole - _expected(before, part)), ("ulps", decimals.ulps)):
        folded = _fold(numbers)
        head[name] = _width(folded) if numbers.any() else 0
        body += _planes(folded, int(head[name]))
    return head, body


def _unpack_decimals(
    head: Mapping[str, Any], before: Numbers, plain: bytes, start: int
) -> tuple[_Decimals, int]:
    read = []
    for name in ("width", "ulps"):
        end = start + before.size * head[name]
        planes = np.frombuffer(plain[start:end], dtype=np.uint8).reshape(head[name], before.size)
        read.append(_unfold(planes).reshape(before.shape))
        start = end
    whole = _expected(before, head["part"]) + read[0]
    return _Decimals(head["places"], whole, read[1]), start


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
    if not whole or len(shapes) != 1 or not columns[_NAMES[0]].size:
        return {}
    possible = all(column.min() >= 0 and column.max() <= _LARGEST_COUNT for column in columns.values())
    return columns if possible else {}


def _expected(before: Numbers, part: float | Floats) -> Numbers:
    return np.asarray(np.rint(before * part), dtype=np.int64)


def _fold(numbers: Numbers) -> NDArray[np.uint64]:
    """Numbers near 0, on either side, as small ones of 0 or more."""
    return ((numbers << 1) ^ (numbers >> 63)).astype(np.uint64)


def _unfold(planes: NDArray[np.uint8]) -> Numbers:
    folded = np.zeros(planes.shape[1], dtype=np.int64)
    for place, plane in enumerate(planes):
        folded |= plane.astype(np.int64) << 8 * place
    return _unfolded(folded)


def _unfolded(folded: NDArray[Any]) -> Numbers:
    numbers = folded.astype(np.int64)
    return np.asarray((numbers >> 1) ^ -(numbers & 1))


def _width(numbers: NDArray[np.uint64]) -> int:
    """Bytes of the largest number."""
    return max(1, (int(numbers.max()).bit_length() + 7) // 8)


def _planes(numbers: NDArray[np.uint64], width: int) -> bytes:
    return numbers.astype("<u8").reshape(-1).view(np.uint8).reshape(-1, 8).T[:width].tobytes()
