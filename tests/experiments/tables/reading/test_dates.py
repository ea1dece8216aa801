"""Dates in files: read where one day is possible, else refused with the days named."""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any
from weakref import ref

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from experiments.tables.reading.dates import DateLearner, DateOrder, Dates, read_day
from experiments.tables.reading.numbers import Exact

pytestmark = pytest.mark.database_free

DAYS = st.dates(dt.date(1970, 1, 1), dt.date(2099, 12, 31))
DAY = dt.date(2026, 11, 8)
_EN = [f"{dt.date(2026, month, 1):%B}" for month in range(1, 13)]
_PT = [
    "janeiro", "fevereiro", "março", "abril", "maio", "junho",
    "julho", "agosto", "setembro", "outubro", "novembro", "dezembro",
]  # fmt: skip
_ES = [
    "enero", "febrero", "marzo", "abril", "mayo", "junio",
    "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre",
]  # fmt: skip
_DE = [
    "Januar", "Februar", "März", "April", "Mai", "Juni",
    "Juli", "August", "September", "Oktober", "November", "Dezember",
]  # fmt: skip


def _dates(*cells: str, order: DateOrder = "detect", has_times: bool = False, at_once: int = 500) -> Dates:
    """Read dates of a file with these cells, in lines from the second."""
    learner = DateLearner()
    lines = [(line, [cell]) for line, cell in enumerate(cells, 2)]
    for start in range(0, len(lines), at_once):
        learner.look_at_lines(lines[start : start + at_once], 0)
    return Dates(lambda: learner.found, order, "or say", has_times=has_times)


def _read(cells: Sequence[str], **options: Any) -> list[dt.date | None]:
    dates = _dates(*cells, **options)
    return [dates.day(cell) for cell in cells]


@pytest.mark.parametrize(
    "cell",
    [
        "2026-11-08", "20261108", Exact("20261108"), "2026/11/08", "2026.11.08", "2026/11/8",
        "2026-11-08 00:00:00", "2026-11-08 00:00", "2026-11-08T00:00:00Z", "2026-11-08T00:00:00.000Z",
        "2026-11-08 00:00:00 UTC", "2026-11-08 00:00:00+00", "2026-11-08T00:00:00-03:00", "2026/11/08 0:00",
        "8 Nov 2026", "08 Nov 2026", "8 November 2026", "8-Nov-2026", "8 nov. 2026", "8 de nov. de 2026",
        "8 de novembro de 2026", "Nov 8, 2026", "Nov 08, 2026", "November 8, 2026", "nov 8 2026", "NOV. 8, 2026",
        "8\u00a0Nov\u00a02026", "8 Nov 2026 00:00", "Nov 8, 2026, 0:00", " 8 Nov 2026 ",
    ],
)  # fmt: skip
def test_day__one_reading__is_read_without_a_look_at_the_file(cell: str) -> None:
    def learn() -> Any:
        raise AssertionError

    assert Dates(learn, "detect", "", has_times=False).day(cell) == DAY


@pytest.mark.parametrize(
    "cell",
    [
        "", "x", "2026-13-08", "2026-02-30", "20261308", "202611080", "2026118", "26-11-08", "08/11/26", "8 Nov 26",
        "8 Nob 2026", "32 Nov 2026", "31/02/2026", "13/13/2026", "2026/11-08", "13/11-2026", "2026-11", "46334",
        "2026-11-08T", "2026-11-08 00", "2026-11-08 24:00", "2026-11-08T00:00:00+99:00", "2026-11-08 00:00 CET",
        "٢٠٢٦-11-08", "2026-11-08" + " " * 99 + "x", "00/00/0000", "0000-00-00", "1.11.2026.", "2026-W45-7",
    ],
)  # fmt: skip
def test_day__no_reading__is_refused_with_what_to_write(cell: str) -> None:
    dates = _dates(cell)

    assert dates.day(cell) is None
    assert "as 2025-08-14" in dates.problem(cell)


@pytest.mark.parametrize(
    "cell", ["2026-11-08 14:03", "2026-11-08T00:00:01Z", "8 Nov 2026 03:00", "2026-11-08T03:00:00+03:00"]
)
def test_day__of_totals_with_a_time__is_refused_and_says_so(cell: str) -> None:
    dates = _dates(cell)

    assert dates.day(cell) is None
    assert "has a time, but the row is the total of a day; write the day alone" in dates.problem(cell)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-11-20", dt.date(2026, 11, 20)),
        ("2026-11-20 14:03", dt.date(2026, 11, 20)),
        ("2026-11-20T23:59:59.5", dt.date(2026, 11, 20)),
        ("2026-11-20T23:30:00-03:00", dt.date(2026, 11, 21)),
        ("2026-11-20 23:30:00 UTC", dt.date(2026, 11, 20)),
        ("2026-11-20 00:30:00+0200", dt.date(2026, 11, 19)),
        ("2026-11-20T00:00:00+02:00", dt.date(2026, 11, 19)),
        ("20261120 9:30", dt.date(2026, 11, 20)),
        ("20 Nov 2026 23:30:00-03:00", dt.date(2026, 11, 21)),
        ("20/11/2026 14:03", dt.date(2026, 11, 20)),
        ("2026-11-20T25:00", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-12:00", None),
        ("2026-11-20 14:03 CET", None),
        ("01/11/2026 14:03", None),
    ],
)
def test_day__of_a_moment__is_that_of_the_time_zone(text: str, day: dt.date | None, settings: Any) -> None:
    settings.TIME_ZONE = "UTC"

    assert _dates(text, has_times=True).day(text) == day


@pytest.mark.parametrize(
    ("text", "day"),
    [
        # three hours behind UTC
        ("2026-11-21T02:59:59Z", dt.date(2026, 11, 20)),
        ("2026-11-21T03:00:00Z", dt.date(2026, 11, 21)),
        ("2026-11-20T23:30:00-03:00", dt.date(2026, 11, 20)),
        ("2026-11-21T04:30:00+02:00", dt.date(2026, 11, 20)),
        ("2026-11-20 23:30", dt.date(2026, 11, 20)),
        ("20/11/2026 23:30", dt.date(2026, 11, 20)),
        # on 4 November 2018 clocks went from three hours behind UTC to two
        ("2018-11-04T02:59:59Z", dt.date(2018, 11, 3)),
        ("2018-11-05T01:59:59Z", dt.date(2018, 11, 4)),
        ("2018-11-05T02:00:00Z", dt.date(2018, 11, 5)),
    ],
)
def test_day__of_a_moment_in_sao_paulo__is_that_of_its_clocks(text: str, day: dt.date, settings: Any) -> None:
    settings.TIME_ZONE = "America/Sao_Paulo"

    assert _dates(text, has_times=True).day(text) == day


def test_text__too_long_for_a_day__is_not_kept() -> None:
    """A cell may have 100,000 characters, and a worker reads files for weeks."""

    class Cell(str):
        pass

    cell = Cell("x" * 65)
    kept = ref(cell)

    assert read_day(cell) is None
    del cell
    assert kept() is None


_FORMS: list[Callable[[dt.date], str]] = [
    lambda day: f"{day:%Y-%m-%d}",
    lambda day: f"{day:%Y%m%d}",
    lambda day: f"{day:%Y/%m/%d}",
    lambda day: f"{day:%Y.%m.%d}",
    lambda day: f"{day.year}/{day.month}/{day.day}",
    lambda day: f"{day:%Y-%m-%d} 00:00:00",
    lambda day: f"{day:%Y-%m-%d}T00:00:00Z",
    *(
        form
        for names in (_EN, _PT, _ES, _DE, *([name[:3] for name in names] for names in (_EN, _PT, _ES, _DE)))
        for form in (
            lambda day, names=names: f"{day.day} {names[day.month - 1]} {day.year}",
            lambda day, names=names: f"{day.day}. {names[day.month - 1]}. {day.year}",
            lambda day, names=names: f"{day.day} de {names[day.month - 1].upper()} de {day.year}",
            lambda day, names=names: f"{names[day.month - 1]} {day:%d}, {day.year}",
            lambda day, names=names: f"{day:%d}-{names[day.month - 1]}-{day.year}",
        )
    ),
]


@given(DAYS, st.sampled_from(_FORMS))
def test_day__written_in_any_form__comes_back(day: dt.date, form: Callable[[dt.date], str]) -> None:
    assert _dates(form(day)).day(form(day)) == day


_ORDERED = {"day_first": "{0:%d}{1}{0:%m}{1}{0:%Y}", "month_first": "{0:%m}{1}{0:%d}{1}{0:%Y}"}
_SHORT = {"day_first": "{0.day}{1}{0.month}{1}{0.year}", "month_first": "{0.month}{1}{0.day}{1}{0.year}"}


@given(
    st.lists(DAYS, min_size=1, max_size=12),
    st.sampled_from(["day_first", "month_first"]),
    st.sampled_from([_ORDERED, _SHORT]),
    st.sampled_from("/.-"),
    st.integers(1, 12),
)
@example([dt.date(2026, 11, 1), dt.date(2026, 11, 13)], "day_first", _ORDERED, "/", 1)
def test_file__of_dates_in_one_order__is_read_right_or_refused(
    days: list[dt.date], order: str, forms: dict[str, str], sign: str, at_once: int
) -> None:
    cells = [forms[order].format(day, sign) for day in days]
    is_shown = any(day.day > 12 for day in days)

    found = _read(cells, at_once=at_once)

    if is_shown:
        assert found == days
    assert all(read in (None, day) for read, day in zip(found, days, strict=True))
    assert is_shown or all(
        read is None or day.day == day.month for read, day in zip(found, days, strict=True)
    )


@given(
    st.lists(DAYS, min_size=1, max_size=5),
    st.lists(st.tuples(DAYS, st.sampled_from(_FORMS)), min_size=1, max_size=5),
    st.sampled_from(["detect", "day_first", "month_first"]),
    st.randoms(),
)
def test_file__of_dates_beside_those_of_another_form__reads_the_others_alone(
    days: list[dt.date], others: list[tuple[dt.date, Callable[[dt.date], str]]], order: DateOrder, random: Any
) -> None:
    expected = [(f"{day:%d/%m/%Y}", None) for day in days] + [(form(day), day) for day, form in others]
    random.shuffle(expected)

    assert _read([cell for cell, _day in expected], order=order) == [day for _cell, day in expected]


def test_day__of_a_file_where_nothing_tells__is_refused_with_both_days_and_the_choice() -> None:
    dates = _dates("01/11/2026", "02/11/2026", "05/05/2026")

    assert [dates.day("01/11/2026"), dates.day("05/05/2026")] == [None, dt.date(2026, 5, 5)]
    assert dates.problem("01/11/2026") == (
        "'01/11/2026' can be read as 2026-01-11 or as 2026-11-01; write it so, in a spreadsheet with the date format "
        "yyyy-mm-dd, or say"
    )
    assert dates.read() == ("", "", True)


def test_day__of_a_file_where_one_date_tells__is_read_and_the_date_is_named() -> None:
    dates = _dates("01/11/2026", "x", "", "13/11/2026", "14/11/2026")

    assert dates.day("01/11/2026") == dt.date(2026, 11, 1)
    assert dates.read() == ("day_first", "13/11/2026", True)


@pytest.mark.parametrize("order", ["detect", "day_first", "month_first"])
def test_day__of_a_file_with_both_orders__is_refused_with_both_dates_whatever_is_chosen(
    order: DateOrder,
) -> None:
    dates = _dates("01/11/2026", "13/11/2026", "11/14/2026", order=order)

    assert [dates.day(cell) for cell in ("01/11/2026", "13/11/2026", "11/14/2026")] == [None, None, None]
    assert dates.problem("01/11/2026") == (
        "'01/11/2026': the file writes dates in two ways, '13/11/2026' on line 3 and '11/14/2026' on line 4; write all "
        "of them as 2025-08-14"
    )
    assert dates.read() == ("", "", False)


def test_day__of_a_file_with_both_orders_and_another_form__names_its_forms() -> None:
    dates = _dates("13/11/2026", "11/14/2026", "2026-11-05", "13.11.2026")

    assert [dates.day(cell) for cell in ("13/11/2026", "2026-11-05")] == [None, dt.date(2026, 11, 5)]
    assert "'13/11/2026' on line 2 and '2026-11-05' on line 4" in dates.problem("13/11/2026")


def test_day__of_a_file_with_two_separators__is_refused() -> None:
    assert _read(["01/11/2026", "13.11.2026"]) == [None, None]
    assert _read(["01/11/2026", "13.11.2026"], order="day_first") == [
        dt.date(2026, 11, 1),
        dt.date(2026, 11, 13),
    ]


@pytest.mark.parametrize("order", ["detect", "day_first", "month_first"])
@pytest.mark.parametrize("beside", ["2026-01-11", "20260111", "11 Jan 2026", "2026-01-11T14:03:00"])
def test_day__beside_dates_that_a_spreadsheet_may_have_swapped__is_refused_whatever_is_chosen(
    beside: str, order: DateOrder
) -> None:
    dates = _dates(beside, "13/11/2026", order=order, has_times=True)

    assert [dates.day(beside), dates.day("13/11/2026")] == [dt.date(2026, 1, 11), None]
    assert dates.problem("13/11/2026").endswith("on line 3; write all of them as 2025-08-14")
    assert not dates.read().has_choice


def test_day__in_the_order_that_is_chosen__is_read_so_and_the_others_are_refused() -> None:
    dates = _dates("01/11/2026", "13/11/2026", order="month_first")

    assert dates.day("01/11/2026") == dt.date(2026, 1, 11)
    assert dates.day("13/11/2026") is None
    assert (
        dates.problem("13/11/2026")
        == "'13/11/2026' is not a date with the month first; write it as 2025-08-14"
    )
    assert dates.read() == ("month_first", "", True)


@given(st.text("0123456789/.-: TZNovJan,de+", max_size=30), st.text("0123456789/.-", max_size=10))
def test_day__any_text__is_a_day_or_has_a_problem(text: str, other: str) -> None:
    for has_times in (True, False):
        dates = _dates(text, other, has_times=has_times)

        assert dates.day(text.strip()) or dates.problem(text.strip())
