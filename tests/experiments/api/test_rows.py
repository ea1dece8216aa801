"""The compiled validation of rows answers as the serializer does, value for value and word for word."""

import json
from typing import Any

import pytest
from django.utils import translation
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework import serializers

from allocation.api.v1.schemas import UnitsSerializer
from experiments.api.classic.schemas import EventsSerializer, FlatEventSerializer
from experiments.api.fast_validation import validated
from experiments.api.fields import StrictSerializer
from experiments.api.rows import parse_batch, parse_classic, parse_day
from experiments.api.v1.event_schemas import (
    EventBatchSerializer,
    EventDaySerializer,
    IncrementsBatchSerializer,
    IncrementsDaySerializer,
)
from experiments.exceptions import MAX_ISSUES
from tests.exploration import TIMES

pytestmark = pytest.mark.database_free

ROW = {
    "experiment_id": "button",
    "date": "2025-08-14",
    "variant_name": "a",
    "impressions": 100,
    "clicks": 10,
    "conversions": 1,
}
PLACE = {"experiment_id": 7, "date": "2025-08-14"}
VARIANT = {"variant_name": " b ", "impressions": 100.0, "clicks": 10}

_STRANGE = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4),
    st.sampled_from([10**12, 10**12 + 1, -(10**40), 1e300, -0.0, "10", "a\0", "\ud800", "\u202e", "x" * 201, " x "]),
    st.sampled_from(["2025-02-30", "2025-8-1", "0000-01-01", "20250814", "2025-08-14\n", "1494012000", "set", "add"]),
    st.sampled_from([[], [None], {}, {"a": 1}, [[]]]),
)  # fmt: skip
_KEYS = st.sampled_from(["views", "mode", "rows", "variants", "\ud800", "x" * 150, ""])


def _nearly(good: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """The good object, with some fields strange, missing or unknown."""
    changes = st.dictionaries(st.sampled_from(sorted(good)) | _KEYS, _STRANGE, max_size=2)
    missing = st.sets(st.sampled_from(sorted(good)), max_size=1)
    return st.builds(
        lambda new, gone: {k: v for k, v in {**good, **new}.items() if k not in gone}, changes, missing
    )


def _lists(item: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.lists(item, min_size=1, max_size=3), st.lists(_STRANGE, max_size=2), _STRANGE)


_BATCHES = st.builds(
    lambda rows, rest: {**rest, "rows": rows}, _lists(_nearly(ROW)), _nearly({"mode": "add"})
)
_DAYS = st.builds(
    lambda variants, rest: {**rest, "variants": variants}, _lists(_nearly(VARIANT)), _nearly(PLACE)
)
_UNITS = st.builds(
    lambda units, rest: {**rest, "units": units}, _lists(st.text(max_size=2)), _nearly({"mode": "add"})
)


def _by_serializer(kind: type[StrictSerializer], data: Any) -> object:
    body = kind(data=data)
    return ("good", body.validated_data) if body.is_valid() else ("bad", body.errors)


def _compiled(kind: type[StrictSerializer], data: Any) -> object:
    try:
        return "good", validated(kind, data)
    except serializers.ValidationError as error:
        return "bad", error.detail


@pytest.mark.hypothesis
@pytest.mark.parametrize(
    ("kind", "bodies"),
    [
        (EventBatchSerializer, _BATCHES | _STRANGE),
        (EventDaySerializer, _DAYS | _STRANGE),
        (IncrementsBatchSerializer, _BATCHES | _STRANGE),
        (IncrementsDaySerializer, _DAYS | _STRANGE),
        (EventsSerializer, _DAYS | _STRANGE),
        (FlatEventSerializer, _nearly(ROW) | _STRANGE),
        (UnitsSerializer, _UNITS | _STRANGE),
    ],
)
@pytest.mark.parametrize("language", ["en", "pt-br"])
def test_validated__any_body__answers_as_the_serializer_does(
    kind: type[StrictSerializer], bodies: st.SearchStrategy[Any], language: str
) -> None:
    @settings(max_examples=150 * TIMES)
    @given(data=bodies)
    def check(data: Any) -> None:
        as_sent = json.loads(json.dumps(data))
        with translation.override(language):
            assert repr(_compiled(kind, as_sent)) == repr(_by_serializer(kind, as_sent))

    check()


def test_parse__good_bodies__give_the_same_rows_on_every_way() -> None:
    mode, _new, batch, _values = parse_batch({"mode": "add", "rows": [ROW]})
    _mode, _new, day, _values = parse_day({**PLACE, "variants": [VARIANT]})

    assert (mode, batch[0][0], tuple(batch[0][1][1:5])) == ("add", "button", ("a", 100, 10, 1))
    assert day == [("7", row) for row in parse_classic({**PLACE, "variants": [VARIANT]})[1]]
    assert parse_classic({**PLACE, **VARIANT}) == parse_classic({**PLACE, "variants": [VARIANT]})
    assert [type(number) for number in day[0][1].counts] == [int, int, int]


def test_parse_batch__half_a_million_unknown_fields__are_reported_up_to_the_bound() -> None:
    row = ROW | {str(number): 1 for number in range(500_000)}

    with pytest.raises(serializers.ValidationError) as caught:
        parse_batch({"rows": [row]})

    detail: Any = caught.value.detail
    assert len(detail["rows"][0]) == MAX_ISSUES
