"""Numbers in files and forms: read where one reading is possible, else refused with the readings named."""

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.tables.reading.numbers import (
    STYLES,
    Cell,
    Exact,
    Kind,
    NumberError,
    Numbers,
    Style,
    in_language,
)
from tests.experiments.tables.reading.cells import learn_styles

pytestmark = pytest.mark.database_free


def _learnt(*cells: str, kind: Kind = "whole") -> Numbers:
    return learn_styles(Cell(line, cell, kind) for line, cell in enumerate(cells, 2))


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1234", 1234), ("0", 0), ("1000.0", 1000), ("1000,0", 1000), ("1000.00", 1000), ("1,234", 1234),
        ("1.234", 1234), ("1 234", 1234), ("1\u00a0234", 1234), ("1\u202f234", 1234), ("1'234", 1234),
        ("12.345.678", 12345678), ("1,234.00", 1234), ("1.234,00", 1234), ("-5", -5), ("\u22125", -5),
        ("+5", 5), (" 7 ", 7), ("0.000", 0), (Exact("1000"), 1000),
    ],
)  # fmt: skip
def test_whole__one_reading__is_read(cell: str, value: int) -> None:
    assert _learnt(cell).whole(cell) == value


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("10.000", "'10.000' can be read as 10000 or as 10"),
        ("1,000", "'1,000' can be read as 1000 or as 1"),
        ("1.5", "'1.5' is not a whole number"),
        (Exact("12.345"), "'12.345' is not a whole number"),
        ("1,23", "'1,23' is not a whole number"),
        ("12,34,567", "is not a number"),
        ("1e3", "is not a number"),
        ("nan", "is not a number"),
        ("1_000", "is not a number"),
        ("٣", "is not a number"),
        ("000", "'000' begins with 0"),
        ("a\u00a0b", "'a b' is not a number"),
    ],
)
def test_whole__no_reading_or_two__is_refused_and_shown_as_it_looks(cell: str, said: str) -> None:
    with pytest.raises(NumberError, match=said):
        _learnt(cell).whole(cell)


@pytest.mark.parametrize(
    ("cell", "sign"),
    [
        ("R$ 120,50", "R$"), ("R$120,50", "R$"), ("€ 12", "€"), ("12 €", "€"), ("$1,200.50", "$"), ("-$5", "$"),
        ("US$ 5", "US$"), ("12 USD", "USD"), ("BRL 12,5", "BRL"), ("R$\u00a01.200,50", "R$"), ("£.5", "£"),
    ],
)  # fmt: skip
def test_decimal__with_a_currency__is_refused_and_says_which_sign_to_leave_out(cell: str, sign: str) -> None:
    with pytest.raises(NumberError, match=f"has {re.escape(sign)} beside the number; leave it out"):
        _learnt(cell, kind="decimal").decimal(cell)


@pytest.mark.parametrize("cell", ["5%", "12 usd", "$", "USD", "$12$", "12 USDT", "1e3 $", "$" + "1" * 40])
def test_decimal__with_what_is_no_currency__is_refused_as_no_number(cell: str) -> None:
    with pytest.raises(NumberError, match="is not a number; write it as 1234"):
        _learnt(cell, kind="decimal").decimal(cell)


def test_whole__a_part_of_a_conversion__comes_with_advice_and_may_have_two_readings() -> None:
    with pytest.raises(NumberError, match="round the day's sum"):
        _learnt("1.5").whole("1.5", "attributed")
    with pytest.raises(NumberError, match=r"as 1234 or as 1\.234"):
        _learnt("1,234", kind="attributed").whole("1,234", "attributed")


@pytest.mark.parametrize(
    ("others", "value"), [(["12.345"], 10000), (["1000.0"], 10), (["7,50"], 10000), (["1 234", "5.0"], 10)]
)
def test_learn_styles__another_number_of_the_file__decides(others: list[str], value: int) -> None:
    assert _learnt("10.000", *others).whole("10.000") == value


def test_learn_styles__two_ways_in_one_file__are_refused_with_both_lines() -> None:
    numbers = _learnt("1000.0", "12.345")

    with pytest.raises(NumberError, match=r"in two ways, '1000\.0' on line 2 and '12\.345' on line 3"):
        numbers.whole("12.345")


@pytest.mark.parametrize("cell", ["700", "7", "1000"])
def test_learn_styles__two_ways_in_one_file__plain_digits_are_read_all_the_same(cell: str) -> None:
    assert _learnt("1000.0", "12.345").whole(cell) == int(cell)


def test_decimal__amount__is_read_by_the_style_of_the_file() -> None:
    assert _learnt("1.234,50", kind="decimal").decimal("0,99") == Decimal("0.99")


@given(
    values=st.lists(st.integers(0, 10**12), min_size=1, max_size=20),
    style=st.sampled_from(STYLES),
)
def test_whole__file_written_in_any_style__is_read_or_refused_never_read_as_another_number(
    values: list[int], style: Style
) -> None:
    cells = [f"{value:,}".replace(",", style.thousands) for value in values]
    numbers = _learnt(*cells)

    assert {_read(numbers, cell) for cell in cells} <= {*values, None}


def _read(numbers: Numbers, cell: str) -> int | None:
    try:
        return numbers.whole(cell)
    except NumberError:
        return None


ENGLISH, PORTUGUESE = (",", "."), (".", ",")


@pytest.mark.parametrize(
    ("cell", "language", "value"),
    [
        ("10000", ENGLISH, 10000), ("10,000", ENGLISH, 10000), ("1000.0", ENGLISH, 1000),
        ("10.000", PORTUGUESE, 10000), ("1000,0", PORTUGUESE, 1000), ("1000.0", PORTUGUESE, 1000),
        ("10\u00a0000", ("\u00a0", ","), 10000),
    ],
)  # fmt: skip
def test_in_language__as_the_page_writes_it__is_read(
    cell: str, language: tuple[str, str], value: int
) -> None:
    assert in_language(cell, *language) == value


@pytest.mark.parametrize(
    ("cell", "language"),
    [("10.000", ENGLISH), ("10,000", PORTUGUESE), ("1,234", PORTUGUESE), ("1.5", ENGLISH)],
)
def test_in_language__another_languages_way__is_refused(cell: str, language: tuple[str, str]) -> None:
    with pytest.raises(NumberError):
        in_language(cell, *language)


@pytest.mark.parametrize(
    ("cell", "language", "value"),
    [
        ("12,50", PORTUGUESE, "12.5"), ("10.000", PORTUGUESE, "10000"), ("1.234,50", PORTUGUESE, "1234.5"),
        ("12,345", PORTUGUESE, "12.345"), ("12.50", PORTUGUESE, "12.5"), ("1e+30", PORTUGUESE, "1e30"),
        ("12.50", ENGLISH, "12.5"), ("12.345", ENGLISH, "12.345"), ("10,000", ENGLISH, "10000"),
        ("12,50", ENGLISH, "12.5"),
    ],
)  # fmt: skip
def test_in_language__amount__is_read_as_the_page_writes_it(
    cell: str, language: tuple[str, str], value: str
) -> None:
    assert in_language(cell, *language, kind="decimal") == Decimal(value)


@pytest.mark.parametrize(("cell", "language"), [("10.000", ENGLISH), ("10,000", PORTUGUESE)])
def test_in_language__amount_that_the_page_writes_otherwise__is_refused_with_both_readings(
    cell: str, language: tuple[str, str]
) -> None:
    with pytest.raises(NumberError, match="can be read as 10000 or as 10"):
        in_language(cell, *language, kind="decimal")
