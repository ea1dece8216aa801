"""Files of any encoding and format: bytes to lines of cells, or a refusal that says what to do."""

import datetime as dt
import zipfile
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest

from experiments.exceptions import InvalidError
from experiments.tables.importing.rows import DAILY
from experiments.tables.reading.header import HeaderNotFoundError, find_header
from experiments.tables.reading.numbers import Exact
from experiments.tables.reading.opening import open_table
from experiments.tables.reading.source import Table
from experiments.tables.reading.workbook.sheets import as_text
from tests.experiments.tables.workbooks import workbook
from tests.factory import make_table

pytestmark = pytest.mark.database_free

HEADER = "experiment_id,date,variant_name,impressions,clicks,conversions"
NAMES = HEADER.split(",")


def _rows(table: Table) -> list[list[str]]:
    return [cells for _line, cells in find_header(table, DAILY).lines()]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_open__text__has_the_same_cells_however_it_is_written(
    encoding: str, delimiter: str, end: str
) -> None:
    lines = [HEADER, "a,2026-11-01,Botão vermelho,1,2,3", ""]

    table = make_table(end.join(lines).replace(",", delimiter).encode(encoding))

    assert _rows(table) == [["a", "2026-11-01", "Botão vermelho", "1", "2", "3"]]
    assert table.encoding == ("cp1252" if encoding == "cp1252" else "")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_open__utf16_without_its_mark__is_known_by_its_zeros_and_named(encoding: str) -> None:
    table = make_table(f"{HEADER}\na,D,Botão Ж,1,2,3\n".encode(encoding))

    assert (_rows(table), table.encoding) == ([["a", "D", "Botão Ж", "1", "2", "3"]], encoding)


@pytest.mark.parametrize(
    "content",
    [
        "Тестовая кнопка и ещё немного слов".encode("cp1251"),
        "Botão vermelho".encode("mac_roman"),
        b"a\x81b",
        b"\x89PNG\r\n\x1a\n\x00\xff",
    ],
    ids=["another alphabet", "accents of another encoding", "no such sign", "no text"],
)
def test_open__bytes_of_another_encoding__are_refused_with_what_to_do(content: bytes) -> None:
    with pytest.raises(InvalidError, match="CSV UTF-8") as caught:
        make_table(HEADER.encode() + b"\n" + content)

    assert caught.value.issues[0].code == "not_utf8"


def test_open__text_that_breaks_its_mark__is_refused_by_line() -> None:
    with pytest.raises(InvalidError, match="is not text in UTF-16"):
        _rows(make_table(b"\xff\xfe\x00"))


def test_open__cell_with_line_breaks__keeps_the_lines_of_the_file() -> None:
    table = make_table(HEADER + '\na,2026-11-01,"two\nlines",1,2,3\nb,2026-11-01,x,1,2,3\n')

    assert [line for line, _cells in find_header(table, DAILY).lines()] == [3, 4]


@pytest.mark.parametrize(
    "rows",
    ['a,D,"19 inch,1,2,3\nb,D,x,1,2,3\n', 'a,D,"19 inch,1,2,3\nb,D,"20 inch,1,2,3\n', 'a,D,"19" TV,1,2,3\n'],
    ids=["to the end of the file", "to another quote", "text behind a quote"],
)
def test_open__quote_that_swallows_rows__is_refused_where_it_begins(rows: str) -> None:
    first = "c,D,x,1,2,3\n"

    with pytest.raises(InvalidError, match=r"line 3: a quoted cell .* write it twice"):
        _rows(make_table(f"{HEADER}\n{first}{rows}"))


def test_open__quote_within_a_cell__is_text() -> None:
    assert _rows(make_table(f'{HEADER}\na,D,19" TV,1,2,3\n'))[0][2] == '19" TV'


@pytest.mark.parametrize("length", [131_070, 131_071, 131_072, 140_000, 300_000])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_open__title_longer_than_a_cell__moves_no_line(length: int, end: str) -> None:
    lines = ["x" * length, HEADER, "a,D,control,1,2,3", "a,D,blue,1,2,3", ""]

    header = find_header(make_table(end.join(lines)), DAILY)

    assert [(line, cells[2]) for line, cells in header.lines()] == [(3, "control"), (4, "blue")]


def test_header__titles_and_an_odd_quote_above__is_found_by_its_names() -> None:
    table = make_table(f'"Report of "x\n\n{HEADER}\na,2026-11-01,b,1,2,3\n')

    header = find_header(table, DAILY)

    assert (header.line, len(list(header.lines()))) == (3, 1)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_header__line_breaks_inside_its_cells__are_spaces(end: str) -> None:
    names = ["Campaign", "Day", "Ad", '"Impr.\n"', "Clicks", '"Cost /\nconv."', "Conversions"]
    text = "\n".join(['Report of "x', ",".join(names), "a,2026-11-01,b,1,2,9.5,3", ""])

    header = find_header(make_table(text.replace("\n", end)), DAILY)

    assert (header.line, header.ignored) == (4, ["Cost / conv."])
    assert list(header.lines()) == [(5, ["a", "2026-11-01", "b", "1", "2", "9.5", "3"])]


@pytest.mark.parametrize(
    "names",
    [
        "Campaign,Day,Ad,Impr.,Clicks,Conv.",
        "EXPERIMENT_ID, Date ,Variant Name,IMPRESSIONS,clicks,Conversions",
        "Campanha,Dia,Anúncio,Impressões,Cliques,Conversões",
        "Campaña,Día,Anuncio,Impresiones,Clics,Conversiones",
        "Kampagne,Tag,Anzeige,Impressionen,Klicks,Conversionen",
    ],
)
def test_header__names_of_exports__are_known(names: str) -> None:
    header = find_header(make_table(names + "\n"), DAILY)

    assert list(header.places) == NAMES
    assert header.names["clicks"] == names.split(",")[4].strip()


def test_header__two_columns_may_be_the_variant__neither_is_taken_unless_one_has_its_name() -> None:
    both = "Campaign,Day,Ad group,Ad,Impr.,Clicks"

    with pytest.raises(HeaderNotFoundError, match="2 columns that may be variant_name: Ad group, Ad"):
        find_header(make_table(both + "\n"), DAILY)
    assert find_header(make_table(both + ",variant_name\n"), DAILY).places["variant_name"] == 6
    assert find_header(make_table(both + "\n"), DAILY, {"adgroup": ""}).places["variant_name"] == 3


def test_header__column_twice__is_refused() -> None:
    with pytest.raises(HeaderNotFoundError, match="2 columns that may be clicks"):
        find_header(make_table(HEADER + ",clicks\n"), DAILY)


def test_header__not_found__quotes_the_line_most_like_one_and_what_it_lacks() -> None:
    text = "Report, of November\nday,variant,impressions\n1,2,3\n"

    with pytest.raises(HeaderNotFoundError) as caught:
        find_header(make_table(text), DAILY)

    said = caught.value.issues[0].message
    assert "line 2, 'day, variant, impressions', lacks: experiment_id, clicks" in said


def test_header__columns_not_needed__are_named() -> None:
    assert find_header(make_table(HEADER + ",Cost,CTR,\n"), DAILY).ignored == ["Cost", "CTR"]


def test_workbook__numbers_dates_and_titles__are_read_as_a_csv_would_have_them() -> None:
    rows: list[list[Any]] = [["Title"], [], NAMES, ["a", ("date", 46327), "b", 1000.0, 12.345, 5]]

    table = make_table(workbook({"First": rows, "Second": [NAMES]}))

    assert _rows(table) == [["a", "2026-11-01", "b", "1000", "12.345", "5"]]
    assert table.sheets == ("First", "Second")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (42.620000000000005, "42.62"), (1000.0000000000001, "1000"), (0.1 + 0.2, "0.3"), (12.5, "12.5"),
        (1e22, "10000000000000000000000"), (Decimal("42.620000000000005"), "42.620000000000005"),
    ],
)  # fmt: skip
def test_workbook__float__has_the_digits_that_it_keeps(value: float | Decimal, text: str) -> None:
    assert (as_text(value), type(as_text(value))) == (text, Exact)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (dt.datetime.fromisoformat("2026-11-20"), "2026-11-20"),
        (dt.datetime.fromisoformat("2026-11-20T14:03"), "2026-11-20T14:03:00"),
        # of a query: at that moment it is another day elsewhere
        (dt.datetime(2026, 11, 20, tzinfo=dt.UTC), "2026-11-20T00:00:00+00:00"),
    ],
)
def test_cell__midnight__is_its_day_where_no_time_zone_says_it_is_a_moment(
    value: dt.datetime, text: str
) -> None:
    assert as_text(value) == text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN")])
def test_workbook__no_number__is_no_exact_one(value: float | Decimal) -> None:
    assert not isinstance(as_text(value), Exact)


def test_workbook__sheet__is_chosen_by_name() -> None:
    content = workbook({"First": [["x"]], "Second": [NAMES, ["a", "2026-11-01", "b", 1, 2, 3]]})

    assert len(_rows(open_table(lambda: BytesIO(content), sheet="Second"))) == 1
    with pytest.raises(InvalidError, match="no sheet 'Third'; its sheets are First, Second"):
        open_table(lambda: BytesIO(content), sheet="Third")


def test_open__sheet_of_a_text__is_refused() -> None:
    with pytest.raises(InvalidError, match="is text and has no sheets"):
        open_table(lambda: BytesIO(HEADER.encode()), sheet="Second")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04rubbish", "save it as .xlsx or as CSV UTF-8"),
        (b"\xd0\xcf\x11\xe0rubbish", "save it as .xlsx without a password"),
        (workbook({"A": [["x"]]})[:-30], "save it as .xlsx or as CSV UTF-8"),
    ],
    ids=["no archive", "xls", "cut short"],
)
def test_workbook__that_is_none__is_refused(content: bytes, said: str) -> None:
    with pytest.raises(InvalidError, match=said):
        make_table(content)


def test_workbook__another_archive__is_refused() -> None:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "x")

    with pytest.raises(InvalidError, match="not a workbook"):
        make_table(file.getvalue())


_NAMELESS = "<row>" + "<c><v>1</v></c>" * 4000 + "</row>"
_SHARED = '<row><c t="s"><v>0</v></c></row>'


# Rows as spreadsheets write them, too many to be parsed without a quick look first.
_ORDINARY = "".join(f'<row r="{n}"><c r="A{n}" s="0"><v>{n}</v></c></row>' for n in range(1, 4000))


@pytest.mark.parametrize("above", ["", _ORDINARY], ids=["alone", "below ordinary rows"])
@pytest.mark.parametrize(
    "rows",
    [
        '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>',
        _NAMELESS + '<row r="20000"><c><v>1</v></c></row>',
        _NAMELESS.replace("<row>", '<row r="20000">'),
        '<row r="1"><c r="AAA00000000020000"><v>1</v></c></row>',
        '<row r="00000000020000"><c r="AAA20000"/></row>',
        '<row r="20000"><c r="ZZ1"/><c r="A20000"/></row>' + "<row/>" * 20 + '<row><c r="AAA1"/></row>',
        '<row note=">" r="20000"><c note=">" r="AAA20000"/></row>',
    ],
    ids=[
        "two cells far apart",
        "cells without a place, then a row far below",
        "cells without a place far below",
        "a place with zeros",
        "a row with zeros",
        "cells that contradict their row",
        "a sign in an attribute",
    ],
)
def test_workbook__that_would_fill_the_memory__is_refused_before_it_is_opened(rows: str, above: str) -> None:
    with pytest.raises(InvalidError, match="too large"):
        make_table(workbook({"A": []}, sheet1=above + rows))


@pytest.mark.parametrize("above", ["", _ORDINARY], ids=["alone", "below ordinary rows"])
def test_workbook__much_of_nothing__is_refused_before_it_is_opened(above: str) -> None:
    with pytest.raises(InvalidError, match="too large"):
        make_table(workbook({"A": []}, sheet1=above + " " * 300_000_000))


@pytest.mark.parametrize(
    ("rows", "length"),
    [
        ('<row r="5000"><c r="CV5000"><v>1</v></c></row>', 5000),
        ('<row><!-- <c r="XFD1048576"/> --><c r="B5000"><v>1</v></c></row>', 5000),
        ("<row><c t='s' r='A4000'><v>0</v></c></row>", 4000),
    ],
)
def test_workbook__ordinary_rows_and_others__are_read_alike(rows: str, length: int) -> None:
    table = make_table(workbook({"A": []}, shared=["ã" * 32_767], sheet1=_ORDINARY + rows))

    lines = list(table.readings[0].lines_after(0))

    assert (len(lines), lines[0][1][0]) == (length, "1")


@pytest.mark.parametrize(
    "rows",
    [
        "<row><c t='inlineStr'><is><t>" + "x" * 32_768 + "</t></is></c></row>",
        '<row><c r="B1" t="inlineStr"><is><t>' + "x" * 32_768 + "</t></is></c></row>",
        "<row>" + "x" * 20_000_000,
    ],
    ids=["apostrophes", "as Excel writes it", "no end"],
)
def test_workbook__long_text_below_ordinary_rows__is_refused(rows: str) -> None:
    with pytest.raises(InvalidError):
        make_table(workbook({"A": []}, sheet1=_ORDINARY + rows))


@pytest.mark.parametrize("text", ["<is>", "<si>", "<is></si>", "<si>x"])
def test_workbook__texts_that_never_end__are_refused_without_being_looked_at_again_and_again(
    text: str,
) -> None:
    # Hours, where each beginning is followed to the end of the part.
    with pytest.raises(InvalidError, match="not a workbook that can be read"):
        make_table(workbook({"A": []}, sheet1=_ORDINARY + text * 250_000 + "</row>"))


@pytest.mark.parametrize("markup", ['<x y="{}"/>', "<!--{}-->", "<?x {}?>"])
def test_workbook__tag_or_comment_of_megabytes__is_refused_before_it_has_ended(markup: str) -> None:
    with pytest.raises(InvalidError, match="not a workbook that can be read"):
        make_table(workbook({"A": []}, sheet1=markup.format("x" * 8_000_000)))


@pytest.mark.parametrize(
    "rows",
    ['<row r="99999999"/>', '<row><c r="AAAA1"/></row>', '<row><c r="1"/></row>', '<row><c r="A"/></row>'],
)
def test_workbook__place_that_is_none__is_refused(rows: str) -> None:
    with pytest.raises(InvalidError, match="not a workbook that can be read"):
        make_table(workbook({"A": []}, sheet1=rows))


def test_workbook__cells_without_a_place__are_read_where_they_follow() -> None:
    cells = "".join(f'<c t="inlineStr"><is><t>{name}</t></is></c>' for name in NAMES)

    table = make_table(workbook({"A": []}, sheet1=f"<row>{cells}</row>" + "<row><c><v>7</v></c></row>"))

    assert _rows(table) == [["7", "", "", "", "", ""]]


def test_workbook__text_longer_than_excel_writes__is_refused() -> None:
    with pytest.raises(InvalidError, match="more than 32767 characters"):
        make_table(workbook({"A": [["x" * 32_768]]}))
    with pytest.raises(InvalidError, match="more than 32767 characters"):
        make_table(workbook({"A": []}, shared=["x" * 1_000_000], sheet1=_SHARED))


def test_workbook__one_long_text_in_many_cells__is_refused_before_it_is_opened() -> None:
    content = workbook({"A": []}, shared=["x" * 32_767], sheet1=_SHARED * 20_000)

    with pytest.raises(InvalidError, match="too large"):
        make_table(content)


def test_workbook__shared_texts__are_read() -> None:
    assert [
        cells
        for _line, cells in make_table(workbook({"A": []}, shared=["x" * 32_767], sheet1=_SHARED * 2))
        .readings[0]
        .lines_after(0)
    ] == [["x" * 32_767]] * 2


@pytest.mark.parametrize(
    "rows", ["<!-- ", '<row r="1"><c r="A1"></row>', "&rows;"], ids=["comment", "tags", "entity"]
)
def test_workbook__that_is_not_well_formed__is_refused(rows: str) -> None:
    with pytest.raises(InvalidError, match="not a workbook that can be read"):
        make_table(workbook({"A": []}, sheet1=rows))


def test_workbook__sheet_in_a_part_that_is_no_xml_by_its_name__is_refused() -> None:
    whole, renamed = zipfile.ZipFile(BytesIO(workbook({"A": [NAMES]}))), BytesIO()
    with zipfile.ZipFile(renamed, "w") as archive:
        for part in whole.namelist():
            content = whole.read(part).replace(b"sheet1.xml", b"sheet1.bin")
            archive.writestr(part.replace("sheet1.xml", "sheet1.bin"), content)

    with pytest.raises(InvalidError, match="not a workbook that can be read"):
        make_table(renamed.getvalue())
