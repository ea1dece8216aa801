"""Recorded inputs as bytes: small, exact, and readable whichever version wrote them."""

import json
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation.packing import pack, unpack

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


@pytest.mark.parametrize(
    "value", [{"counts": [["2026-01-01", 1, 10, 1, 0]]}, {"counts": {"impressions": [[1.5]]}}, {}, [1], None]
)
def test_pack__other_json__comes_back_as_it_was(value: Any) -> None:
    assert unpack(pack(value)) == value


def test_unpack__packed_by_an_earlier_version__is_read() -> None:
    value = _inputs([(1000, 50, 5)], 2)

    assert unpack(zlib.compress(json.dumps(value).encode(), 9)) == value


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
