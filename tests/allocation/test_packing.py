"""Recorded inputs as bytes: small, exact, and readable whichever version wrote them."""

import hashlib
import json
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation.packing import (
    DICTIONARY,
    DICTIONARY_OF_BITS,
    _columns,
    _pack_in_bytes,
    pack,
    unpack,
    unpack_until,
)
from allocation.packing.rice import rice, unrice
from allocation.packing.slim import slim, whole

pytestmark = pytest.mark.database_free

COUNT = st.integers(0, 10**12)
DAYS = st.lists(st.tuples(COUNT, COUNT, COUNT), min_size=0, max_size=5)


def _inputs(days: list[tuple[int, int, int]], variants: int) -> dict[str, Any]:
    columns = [[[day[n] + v for day in days] for v in range(variants)] for n in range(3)]
    names = ("impressions", "clicks", "conversions")
    return {
        "counts": {"days": list(range(len(days))), **dict(zip(names, columns, strict=True))},
        "winner": None,
    }


@given(days=DAYS, variants=st.integers(0, 3))
def test_pack__any_counts__come_back_as_they_were(days: list[tuple[int, int, int]], variants: int) -> None:
    assert unpack(pack(_inputs(days, variants))) == _inputs(days, variants)


@given(days=DAYS, variants=st.integers(0, 3), last=st.sampled_from(["impressions", "clicks", "conversions"]))
def test_unpack_until__any_counts__are_those_that_came_in(
    days: list[tuple[int, int, int]], variants: int, last: str
) -> None:
    inputs = _inputs(days, variants)

    found = unpack_until(pack(inputs), last)

    assert np.array(found["counts"][last]).tolist() == inputs["counts"][last]
    assert found["counts"]["days"] == inputs["counts"]["days"]
    assert found["winner"] is None


def test_unpack_until__counts_in_bits__leaves_out_those_behind() -> None:
    inputs = _inputs([(1000, 50, 5)] * 20, 4)

    assert unpack_until(pack(inputs), "clicks")["counts"].keys() == {"days", "impressions", "clicks"}


@pytest.mark.parametrize(
    "value", [{"counts": [["2026-01-01", 1, 10, 1, 0]]}, {"counts": {"impressions": [[1.5]]}}, {}, [1], None]
)
def test_pack__other_json__comes_back_as_it_was(value: Any) -> None:
    assert unpack(pack(value)) == value


def test_unpack__packed_by_an_earlier_version__is_read() -> None:
    value = _inputs([(1000, 50, 5)], 2)

    assert unpack(zlib.compress(json.dumps(value).encode(), 9)) == value


def test_unpack__packed_without_the_dictionary__is_read() -> None:
    value = _inputs([(1000, 50, 5)], 2)
    packed = _pack_in_bytes(value, _columns(value))
    assert (packed[:1], unpack(packed)) == (b"\x03", value)
    plain = zlib.decompressobj(zdict=DICTIONARY).decompress(packed[1:])

    assert unpack(b"\x01" + zlib.compress(plain, 9)) == value


def test_pack__one_count_far_from_the_others__takes_the_shorter_form() -> None:
    value = _inputs([(3, 2, 1)] * 300 + [(10**12, 2, 1)], 4)

    packed = pack(value)

    assert packed[:1] == b"\x03"
    assert len(packed) < 1000
    assert unpack(packed) == value


@given(numbers=st.lists(st.integers(0, 2**40), min_size=1, max_size=50))
def test_rice__any_numbers__come_back_as_they_were(numbers: list[int]) -> None:
    packed = rice(np.array(numbers, dtype=np.uint64))

    if packed is not None:
        found, used = unrice(packed + b"more", len(numbers))
        assert (found.tolist(), used) == (numbers, len(packed))


def test_rice__small_numbers__take_few_bits() -> None:
    # k = 0: 0 and 3 in unary, 1 and 0001
    assert rice(np.array([0, 3], dtype=np.uint64)) == bytes([0, 0b10001000])
    # k = 1: the low bits 0 and 1, then the halves 2 and 2 in unary, 001 and 001
    assert rice(np.array([4, 5], dtype=np.uint64)) == bytes([1, 0b01001001])


def test_dictionary__once_released__never_changes() -> None:
    assert (
        hashlib.sha256(DICTIONARY).hexdigest()
        == "321f1c26ce2b7c945812e156062d5745c652015e2adc328e935cda9130d89f0c"
    )
    assert (
        hashlib.sha256(DICTIONARY_OF_BITS).hexdigest()
        == "d753cb8638bc81e77b30907c7698442e85077b027510e7cd61e8ca686e523993"
    )


VARIANT = st.fixed_dictionaries({"id": st.integers(-5, 5), "key": st.text(max_size=2)})


@given(
    days=st.lists(st.integers(0, 4), max_size=4),
    variants=st.one_of(st.lists(VARIANT, max_size=3), st.just([{}]), st.just([{"id": 1}, {"key": "b"}])),
    previous=st.one_of(st.none(), st.dictionaries(st.sampled_from(["-1", "1", "2"]), st.floats(0, 1))),
)
def test_slim__inputs_of_any_form__come_back_as_they_were(
    days: list[int], variants: list[dict[str, Any]], previous: dict[str, float] | None
) -> None:
    inputs = {"counts": {"days": days, "first_date": None}, "variants": variants, "previous": previous}

    assert whole(json.loads(json.dumps(slim(inputs)))) == inputs


@pytest.mark.parametrize("a_day", [2_000, 20_000, 200_000])
def test_pack__a_year_of_four_variants__takes_less_than_8_kb(a_day: int) -> None:
    rng = np.random.default_rng(1)
    impressions = np.array([rng.multinomial(rng.poisson(a_day), rng.dirichlet([5] * 4)) for _ in range(365)])
    clicks = rng.binomial(impressions, 0.05)
    conversions = rng.binomial(clicks, 0.2)
    value = _inputs([], 0)
    value["counts"] = {
        "days": list(range(365)),
        "impressions": impressions.T.tolist(),
        "clicks": clicks.T.tolist(),
        "conversions": conversions.T.tolist(),
    }

    assert len(pack(value)) < 8 * 1024
    assert unpack(pack(value)) == value


FLOAT = st.one_of(
    st.floats(0, allow_nan=False, allow_infinity=False),
    st.integers(0, 10**12).map(lambda cents: cents / 100),
    st.sampled_from([0.0, -0.0, 0.1 + 0.2, 1e16, 1e30, 1056.25, 5e-324]),
)


@given(days=st.lists(st.tuples(COUNT, FLOAT, FLOAT), max_size=5), variants=st.integers(0, 3))
def test_pack__any_values__come_back_to_the_last_digit(
    days: list[tuple[int, float, float]], variants: int
) -> None:
    value = _inputs([(n, n, n) for n, _total, _squares in days], variants)
    for place, name in enumerate(("value_sum", "value_squares"), 1):
        value["counts"][name] = [[day[place] for day in days] for _variant in range(variants)]

    # as text, which tells 0.0 from -0.0 and from 0: the digest is of the text
    assert json.dumps(unpack(pack(value)), sort_keys=True) == json.dumps(value, sort_keys=True)


@pytest.mark.parametrize("value", [[[1, 2]], [[1.5]], [[None, 1.0]], [], None, "1.0"])
def test_pack__values_of_another_form__come_back_as_they_were(value: Any) -> None:
    inputs = _inputs([(10, 1, 1), (10, 1, 1)], 1)
    inputs["counts"] |= {"value_sum": [[1.0, 2.0]], "value_squares": value}

    assert json.dumps(unpack(pack(inputs)), sort_keys=True) == json.dumps(inputs, sort_keys=True)


@pytest.mark.parametrize(("a_day", "most"), [(500, 14_000), (20_000, 17_000)])
def test_pack__a_year_of_four_variants_with_values__is_as_small_as_documented(a_day: int, most: int) -> None:
    rng = np.random.default_rng(1)
    impressions = np.array([rng.multinomial(rng.poisson(a_day), [0.25] * 4) for _ in range(365)])
    orders = rng.binomial(impressions, 0.03)
    cents = [np.rint(5000 * rng.lognormal(-0.32, 0.8, n)).astype(np.int64).tolist() for n in orders.ravel()]
    value = _inputs([], 0)
    value["counts"] = {
        "days": list(range(365)),
        "impressions": impressions.T.tolist(),
        "clicks": orders.T.tolist(),
        "conversions": orders.T.tolist(),
        "value_sum": np.array([sum(c) / 100 for c in cents]).reshape(365, 4).T.tolist(),
        "value_squares": np.array([sum(n * n for n in c) / 1e4 for c in cents]).reshape(365, 4).T.tolist(),
    }

    assert len(pack(value)) < most
    assert unpack(pack(value)) == value


def test_pack__sums_of_floats__a_few_digits_from_decimals__come_back() -> None:
    squares = [[0.1 + 0.2, 1056.2500000000002, 12.5 * 12.5 + 0.1**2]]
    inputs = _inputs([(10, 1, 1)] * 3, 1)
    inputs["counts"] |= {"value_sum": [[0.1, 42.5, 12.6]], "value_squares": squares}

    packed = pack(inputs)

    assert packed[:1] == b"\x04"
    assert unpack(packed) == inputs


@pytest.mark.parametrize("count", [-(10**12), 10**12 + 1, 2**62, 2**63 - 1])
def test_pack__count_that_no_day_can_have__comes_back(count: int) -> None:
    inputs = {
        "counts": {"impressions": [[10**12, count]], "clicks": [[count, -3]], "conversions": [[5, count]]}
    }

    assert unpack(pack(inputs)) == inputs
