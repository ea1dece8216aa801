"""Days of a column of moments: an hour is read once where many moments are in it, and means what each says alone."""

import datetime as dt

import pytest
from django.test import override_settings
from hypothesis import example, given, settings
from hypothesis import strategies as st

from experiments.tables.importing.moments import Moments
from experiments.tables.importing.plain_rows import Meanings
from experiments.tables.reading.dates import Dates, FoundDates

pytestmark = pytest.mark.database_free

# Clocks were set at midnight, at one minute past it, and within an hour of UTC; a day of Samoa's is left out.
_ZONES = ["UTC", "America/Sao_Paulo", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia"]
_DATES = [
    "2026-08-14",
    "2018-11-04",
    "2018-02-18",
    "2010-11-07",
    "2011-12-30",
    "0001-01-01",
    "9999-12-31",
    "2026-02-30",
]
_DISTANCES = ["", "Z", " UTC", "+02:00", "-02:00", "-02:30", "+0200", "-12", "+14:00", "+25:00"]
_HOURS = st.tuples(
    st.sampled_from(_DATES), st.sampled_from("T "), st.integers(0, 24), st.sampled_from(_DISTANCES)
)
_CELLS = st.lists(
    st.tuples(st.integers(0, 60), st.sampled_from(["", ":00", ":30", ":59.999999", ":61"])),
    min_size=1,
    max_size=20,
)

# reads each by itself
day_of_moment = Dates(FoundDates, "detect", "", has_times=True).day


def _column() -> Moments:
    return Moments(Meanings(lambda text: day_of_moment(text.strip())))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(_ZONES), st.lists(_HOURS, min_size=1, max_size=2), _CELLS)
# a minute after midnight clocks go back to the day before: within an hour it is tomorrow once
@example("America/St_Johns", [("2010-11-07", "T", 0, "-02:30")], [(n, "") for n in range(20)])
@example("America/St_Johns", [("2010-11-07", "T", 0, "-02:00")], [(n, "") for n in range(20, 50)])
def test_moments__of_a_column__are_those_of_each_cell(
    zone: str, hours: list[tuple[str, str, int, str]], ends: list[tuple[int, str]]
) -> None:
    cells = [
        f"{date}{between}{hour:02}:{minute:02}{second}{distance}"
        for date, between, hour, distance in hours
        for minute, second in ends
    ]
    with override_settings(TIME_ZONE=zone):
        assert list(_column().of(cells)) == [day_of_moment(cell) for cell in cells]


def test_moments__of_hours_in_sao_paulo__are_on_the_days_of_its_clocks() -> None:
    """Three hours behind UTC, an hour is the last of the day before and the next is the first of the day."""
    cells = [f"2026-11-21T{hour:02}:{minute:02}Z" for hour in (2, 3) for minute in range(10)]

    with override_settings(TIME_ZONE="America/Sao_Paulo"):
        assert list(_column().of(cells)) == [dt.date(2026, 11, 20)] * 10 + [dt.date(2026, 11, 21)] * 10


@pytest.mark.parametrize(
    "odd", ["", "x", " 2026-08-14T14:03", "2026-08-14", "2026-08-13T14:03\n2026-08-12T14:03", "\n"]
)
def test_moments__one_cell_of_another_kind__each_is_read_by_itself(odd: str) -> None:
    cells = [*(f"2026-08-14T14:{n:02}" for n in range(10)), odd, "2026-08-15T14:03"]

    days = list(_column().of(cells))

    assert days == [day_of_moment(cell.strip()) for cell in cells]


def test_moments__two_in_one_cell_beside_one_that_is_none__are_not_taken_for_two_cells() -> None:
    cells = ["x", "2026-08-13T14:03\n2026-08-12T14:03", *(f"2026-08-14T14:{n:02}" for n in range(10))]

    assert list(_column().of(cells)) == [None, None, *[dt.date(2026, 8, 14)] * 10]


def test_moments__that_are_none__leave_gaps() -> None:
    column = _column()

    assert column.of(["2026-08-14T14:03"] * 8) == [dt.date(2026, 8, 14)] * 8
    assert not column.has_gaps
    assert column.of(["2026-02-30T14:03"] * 8) == [None] * 8
    assert column.has_gaps
