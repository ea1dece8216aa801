"""The short ways of reading numbers come to what the long ones come to."""

from decimal import Decimal
from io import BytesIO
from weakref import ref

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from experiments.exceptions import InvalidError
from experiments.tables.reading.bounds import Bounds
from experiments.tables.reading.numbers import (
    STYLES,
    Cell,
    Exact,
    Kind,
    NumberError,
    Numbers,
    Style,
    is_blank,
)
from experiments.tables.reading.opening import open_table
from experiments.tables.reading.styles import StyleLearner
from experiments.tables.reading.synonyms import plain
from experiments.tables.reading.workbook.sheets import as_text
from experiments.text import NAME_LENGTH
from tests.experiments.tables.reading.cells import learn_styles

pytestmark = pytest.mark.database_free

GROUPED = r"[1-9][0-9]{0,2}([,. '][0-9]{3}){0,3}([.,][0-9]{1,2})?"
TEXTS = st.text("0123459.,' -+e", max_size=12) | st.from_regex(GROUPED, fullmatch=True)
KINDS = st.sampled_from(["whole", "attributed", "decimal"])


def _read(text: str, style: Style, kind: Kind) -> Decimal | None:
    try:
        return Numbers((style,)).decimal(text, kind)
    except NumberError:
        return None


@given(TEXTS, st.sampled_from(STYLES), KINDS)
@example("1,234.50", Style(",", "."), "decimal")
@example("0,123", Style(",", "."), "whole")
@example("012", Style(",", "."), "whole")
def test_decimal__number_of_the_only_style__is_what_it_is_behind_a_space(
    text: str, style: Style, kind: Kind
) -> None:
    # nothing that begins with a space goes the short way
    assert _read(text, style, kind) == _read(" " + text, style, kind)


@given(TEXTS.filter(lambda text: not text.strip().isdigit()), KINDS.filter(lambda kind: kind != "decimal"))
@example("1.234", "whole")
@example("0.0", "whole")
def test_learn_styles__one_cell__are_those_that_read_it(text: str, kind: Kind) -> None:
    values = {style: value for style in STYLES if (value := _read(" " + text, style, kind)) is not None}
    whole = {style for style, value in values.items() if value == value.to_integral_value()}
    expected = whole if whole and kind == "whole" else values.keys()

    assert set(learn_styles([Cell(2, text, kind)]).styles) == set(expected or STYLES)


@given(st.lists(TEXTS | TEXTS.map(Exact), min_size=1, max_size=4), st.sets(st.sampled_from(STYLES)))
@example(["1,234.50", "12", "0.5"], {Style(",", ".")})
@example(["1.234", "1"], {Style(".", ",")})
@example(["0.50", "12"], {Style(",", "."), Style(" ", ".")})
@example(["1\n2", "3"], {Style(",", ".")})
def test_plain_amounts__of_any_column__are_the_amounts_one_by_one(
    cells: list[str], styles: set[Style]
) -> None:
    numbers = Numbers(tuple(style for style in STYLES if style in styles))

    if (written := numbers.plain_amounts(cells)) is not None:
        assert [Decimal(text) for text in written] == [numbers.decimal(cell) for cell in cells]


@given(st.lists(st.lists(TEXTS, min_size=2, max_size=2), min_size=1, max_size=6), KINDS, KINDS)
@example([["1,234", "1.234"]], "decimal", "decimal")
@example([["1\n,5", "²"], ["", "--"]], "decimal", "whole")
def test_style_learner__of_lines__learns_what_it_learns_of_each_cell(
    lines: list[list[str]], first: Kind, second: Kind
) -> None:
    cells = [
        Cell(line, text, kind)
        for line, texts in enumerate(lines, 2)
        for text, kind in zip(texts, (first, second), strict=True)
        if not text.isdigit() and not is_blank(text)
    ]
    learner = StyleLearner()

    learner.look_at_lines(list(enumerate(lines, 2)), [(0, first), (1, second)])

    assert learner.numbers == learn_styles(cells)


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**16), 10**16).map(float))
@example(0.0)
@example(1e15)
@example(999_999_999_999_999.0)
def test_as_text__float__is_an_exact_number_of_fifteen_digits(value: float) -> None:
    text = as_text(value)

    assert isinstance(text, Exact)
    assert "e" not in text
    assert Decimal(text) == Decimal(f"{value:.15g}")


def test_bounded_table__read_twice_at_once__gives_each_line_to_both_and_the_refusal_again() -> None:
    table = open_table(lambda: BytesIO(b"a,b\n1,2\n3,4\n5,6\n"), bounds=Bounds(2, "split it"))
    lines = iter(table.readings[0].lines_after(1))

    first = next(lines)

    for _time in range(2):
        with pytest.raises(InvalidError, match="more than 2 rows"):
            list(table.readings[0].lines_after(1))
    assert [first, next(lines)] == [(2, ["1", "2"]), (3, ["3", "4"])]
    with pytest.raises(InvalidError, match="more than 2 rows"):
        next(lines)


def test_plain__of_a_header__keeps_no_long_text() -> None:
    class Cell(str):
        pass

    cell = Cell("Conv. value " * 1000)
    kept = ref(cell)

    assert plain(cell) == ("convvalue" * 1000)[:NAME_LENGTH]
    del cell
    assert kept() is None
