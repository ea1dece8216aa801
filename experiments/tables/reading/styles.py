"""The styles of a file's numbers, learnt from all of them."""

from collections.abc import Iterable, Iterator, Sequence

from experiments.tables.reading.numbers import (
    MOST_REMEMBERED,
    STYLES,
    Cell,
    Exact,
    Kind,
    Numbers,
    is_blank,
    normal,
    possible_styles,
)
from experiments.tables.reading.source import Line

# A cell's styles hang on which of its signs are digits, and which of those are 0.
_ANY_DIGIT = str.maketrans("23456789", "1" * 8)
_BETWEEN = "\n"


class StyleLearner:
    """Keeps the styles that read every number so far; ``clash`` are the first two cells that no one style reads."""

    def __init__(self) -> None:
        self._styles = frozenset(STYLES)
        self._earlier: Cell | None = None
        self.clash: tuple[Cell, Cell] | None = None
        self._seen = set[tuple[str, Kind]]()

    @property
    def numbers(self) -> Numbers:
        if self.clash:
            return Numbers((), self.clash)
        return Numbers(tuple(style for style in STYLES if style in self._styles))

    def look_at(self, cells: Iterable[Cell]) -> None:
        for cell in cells:
            shape = cell.text.translate(_ANY_DIGIT)
            if self.clash or (shape, cell.kind) in self._seen or isinstance(cell.text, Exact):
                continue
            self._remember(shape, cell.kind)
            possible = possible_styles(normal(shape), cell.kind)
            if not possible or possible >= self._styles:
                continue
            if not possible & self._styles:
                self.clash = (self._earlier or cell, cell)
                continue
            self._styles, self._earlier = self._styles & possible, cell

    def look_at_lines(self, lines: Sequence[Line], places: Sequence[tuple[int, Kind]]) -> None:
        """Look at the numbers of these columns, line by line: at one of each shape."""
        found = sorted(
            (n, order, Cell(line, text, kind))
            for order, (place, kind) in enumerate(places)
            for n, line, text in self._of_new_shapes(lines, place, kind)
        )
        self.look_at(cell for _n, _order, cell in found)

    def _of_new_shapes(self, lines: Sequence[Line], place: int, kind: Kind) -> Iterator[tuple[int, int, str]]:
        """Yield the cells of a column that may say something new, with their positions and lines."""
        column = [cells[place] if place < len(cells) else "" for _line, cells in lines]
        # a workbook's own numbers have no style
        texts = (
            ["" if type(cell) is Exact else cell for cell in column]
            if Exact in set(map(type, column))
            else column
        )
        shapes = _shapes(texts)
        new = dict.fromkeys(shape for shape in set(shapes) if (shape, kind) not in self._seen)
        for shape in list(new):
            # plain digits and blanks have none either
            if shape.isdigit() or is_blank(shape):
                self._remember(shape, kind)
                del new[shape]
        if new:
            yield from ((n, lines[n][0], texts[n]) for n, shape in enumerate(shapes) if shape in new)

    def _remember(self, shape: str, kind: Kind) -> None:
        if len(self._seen) < MOST_REMEMBERED:
            self._seen.add((shape, kind))


def _shapes(texts: Sequence[str]) -> list[str]:
    """Write all digits but 0 as 1."""
    shapes = _BETWEEN.join(texts).translate(_ANY_DIGIT).split(_BETWEEN)
    return shapes if len(shapes) == len(texts) else [text.translate(_ANY_DIGIT) for text in texts]
