"""Which variant a unit sees."""

import hashlib
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation.engine.assignment import assign, assign_many
from tests.conftest import ROOT

UNITS = [f"visitor-{n}" for n in range(20_000)]


def test_assign__by_hand__follows_the_documented_steps() -> None:
    def race(variant: str, share: float) -> float:
        message = b"".join(len(part).to_bytes(8, "big") + part for part in (b"exp", variant.encode(), b"u1"))
        number = int.from_bytes(hashlib.sha256(message).digest()[:8], "big") >> 11
        return -math.log((number + 0.5) / 2**53) / share

    expected = "a" if race("a", 0.3) < race("b", 0.7) else "b"

    assert assign("exp", {"a": 0.3, "b": 0.7}, "u1") == expected


def test_assign__known_units__stay_where_they_were() -> None:
    # other clients follow the same steps: these answers must never change
    assert (
        assign_many("checkout", {"control": 0.5, "green": 0.3, "blue": 0.2}, ["1", "2", "3", "né", ""])
        == GOLDEN
    )


GOLDEN = ["control", "control", "blue", "blue", "green"]


def test_assign__many_units__come_in_the_shares() -> None:
    shares = {"a": 0.1, "b": 0.6, "c": 0.3}

    served = assign_many("exp", shares, UNITS)

    for key, share in shares.items():
        # four standard errors
        assert served.count(key) / len(UNITS) == pytest.approx(share, abs=4 * math.sqrt(share / len(UNITS)))


def test_assign__order_of_variants__does_not_matter() -> None:
    assert assign_many("exp", {"a": 0.4, "b": 0.6}, UNITS[:500]) == assign_many(
        "exp", {"b": 0.6, "a": 0.4}, UNITS[:500]
    )


def test_assign__shares_move__moves_no_more_units_than_it_must() -> None:
    before = assign_many("exp", {"a": 0.5, "b": 0.5}, UNITS)
    after = assign_many("exp", {"a": 0.3, "b": 0.7}, UNITS)

    moved = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert set(moved) == {("a", "b")}
    assert len(moved) / len(UNITS) == pytest.approx(0.2, abs=0.012)


def test_assign__three_variants__moves_at_most_the_stated_part() -> None:
    before = assign_many("exp", {"a": 0.5, "b": 0.3, "c": 0.2}, UNITS)
    after = assign_many("exp", {"a": 0.4, "b": 0.3, "c": 0.3}, UNITS)

    moved = sum(old != new for old, new in zip(before, after, strict=True)) / len(UNITS)
    assert 0.1 - 0.01 <= moved <= 2 * 0.1 / 1.1 + 0.01


def test_assign__experiments__are_independent() -> None:
    first = assign_many("one", {"a": 0.5, "b": 0.5}, UNITS)
    second = assign_many("two", {"a": 0.5, "b": 0.5}, UNITS)

    both = sum(x == y for x, y in zip(first, second, strict=True)) / len(UNITS)
    assert both == pytest.approx(0.5, abs=0.015)


def test_assign__keys_that_run_together__are_distinguished() -> None:
    left = assign_many("ab", {"c": 0.5, "d": 0.5}, UNITS[:200])
    right = assign_many("a", {"bc": 0.5, "bd": 0.5}, UNITS[:200])

    assert [key[-1] for key in right] != left


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.text(max_size=3), st.sampled_from([0.0001, 0.3, 0.5, 1.0]), min_size=1, max_size=6),
    st.lists(st.text(max_size=5), max_size=20),
)
def test_assign_many__any_shares_and_units__is_assign_of_each(
    shares: dict[str, float], units: list[str]
) -> None:
    assert assign_many("exp", shares, units) == [assign("exp", shares, unit) for unit in units]


def test_assign_many__a_race_too_close_for_other_logarithms__is_decided_as_that_of_one_unit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = {"a": 0.5, "b": 0.5}
    expected = [assign("exp", one, unit) for unit in UNITS[:50]]

    monkeypatch.setattr("allocation.engine.assignment._PHOTO_FINISH", 1e9)

    assert assign_many("exp", one, UNITS[:50]) == expected


def test_assign__variant_without_a_share__is_never_served() -> None:
    assert set(assign_many("exp", {"a": 0.0, "b": 1.0}, UNITS[:100])) == {"b"}


def test_assign__no_share_at_all__is_refused() -> None:
    with pytest.raises(ValueError, match="no variant has a share"):
        assign("exp", {"a": 0.0}, "u")


def test_assign__vectors_shared_with_the_clients__are_met() -> None:
    vectors = json.loads((ROOT / "clients/vectors/assignment.json").read_text(encoding="utf-8"))
    prefixes = vectors["prefixes"]
    units = [f"{prefixes[n % len(prefixes)]}{n}" for n in range(vectors["units"])]

    assert (len(units), len(vectors["experiments"])) == (10_000, 20)
    for experiment in vectors["experiments"]:
        shares = {key: share / 10_000 for key, share in experiment["shares"].items()}
        served = "\n".join(assign_many(experiment["key"], shares, units))
        assert hashlib.sha256(served.encode()).hexdigest() == experiment["sha256"], experiment["key"]
