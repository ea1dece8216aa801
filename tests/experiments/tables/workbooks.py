"""Small workbooks of Excel, written by hand."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

_NS = "http://schemas.openxmlformats.org"
_MAIN, _REL = f"{_NS}/spreadsheetml/2006/main", f"{_NS}/officeDocument/2006/relationships"
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
# The second style is that of dates.
_FORMATS = '<cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>'
_STYLES = f'{_HEAD}<styleSheet xmlns="{_MAIN}">{_FORMATS}</styleSheet>'


def workbook(
    sheets: Mapping[str, Sequence[Sequence[Any]]], *, shared: Sequence[str] = (), **raw: str
) -> bytes:
    """Write sheets of texts, numbers and dates (``("date", 46327)``: days since 1899-12-30).

    ``raw`` replaces the XML of a sheet's rows, sheet1 being the first; ``shared`` are texts that cells refer to.
    """
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _fixed_parts(list(sheets), shared).items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
        for number, rows in enumerate(sheets.values(), 1):
            data = raw.get(f"sheet{number}") or "".join(_row(n, cells) for n, cells in enumerate(rows, 1))
            content = f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetData>{data}</sheetData></worksheet>'
            part = zipfile.ZipInfo(f"xl/worksheets/sheet{number}.xml")
            # Quickly packed: some are of hundreds of megabytes.
            archive.writestr(part, content, zipfile.ZIP_DEFLATED, 1)
    return file.getvalue()


def _row(number: int, cells: Sequence[Any]) -> str:
    places = (f"{chr(65 + place)}{number}" for place in range(len(cells)))
    return f'<row r="{number}">{"".join(map(_cell, places, cells))}</row>'


def _cell(place: str, value: Any) -> str:
    match value:
        case "" | None:
            return ""
        case str():
            return f'<c r="{place}" t="inlineStr"><is><t>{escape(value)}</t></is></c>'
        case ("date", serial):
            return f'<c r="{place}" s="1"><v>{serial}</v></c>'
    return f'<c r="{place}"><v>{value}</v></c>'


def _fixed_parts(names: Sequence[str], shared: Sequence[str]) -> dict[str, str]:
    types = f"{_NS}/package/2006/content-types"
    links = f"{_NS}/package/2006/relationships"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    numbers = range(1, len(names) + 1)
    overrides = "".join(
        f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{kind}.worksheet+xml"/>'
        for n in numbers
    )
    return {
        "[Content_Types].xml": f'{_HEAD}<Types xmlns="{types}">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>{overrides}</Types>',
        "_rels/.rels": f'{_HEAD}<Relationships xmlns="{links}">'
        f'<Relationship Id="r1" Type="{_REL}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_REL}"><sheets>'
        + "".join(
            f'<sheet name="{escape(name)}" sheetId="{n}" r:id="s{n}"/>'
            for n, name in zip(numbers, names, strict=True)
        )
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'{_HEAD}<Relationships xmlns="{links}">'
        + "".join(
            f'<Relationship Id="s{n}" Type="{_REL}/worksheet" Target="worksheets/sheet{n}.xml"/>'
            for n in numbers
        )
        + f'<Relationship Id="st" Type="{_REL}/styles" Target="styles.xml"/>'
        + f'<Relationship Id="sh" Type="{_REL}/sharedStrings" Target="sharedStrings.xml"/></Relationships>',
        "xl/styles.xml": _STYLES,
        "xl/sharedStrings.xml": f'{_HEAD}<sst xmlns="{_MAIN}">'
        + "".join(f"<si><t>{escape(text)}</t></si>" for text in shared)
        + "</sst>",
    }
