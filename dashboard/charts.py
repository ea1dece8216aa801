"""Charts and split bars as plain data, in pure functions; static/js/charts.js draws the charts."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from django.utils.translation import gettext as _

from allocation.models import AllocationShare
from dashboard.formatting import format_shares
from experiments.models import Variant
from experiments.text import format_percent

# Six hues, and as many again in a second tone, drawn dashed.
_COLOURS = 12
OTHERS = "variant-others"

Kind = Literal["lines", "steps", "area", "bars"]
Unit = Literal["percent", "count", "number"]
Values = Sequence[float | None]


@dataclass(frozen=True)
class Series:
    """One line, band or row of bars; ``low`` and ``high`` are the bounds that the chart names.

    Colours are names of site.css.
    """

    name: str
    colour: str
    values: Values
    low: Values | None = None
    high: Values | None = None
    dashed: bool = False

    def data(self) -> dict[str, Any]:
        bands = {} if self.low is None else {"low": _rounded(self.low), "high": _rounded(self.high or ())}
        return {
            "name": self.name,
            "colour": self.colour,
            "values": _rounded(self.values),
            "dashed": self.dashed,
            **bands,
        }


@dataclass(frozen=True)
class Mark:
    """A line across the chart with a label, at a value (``y``) or a place of the x axis (``x``)."""

    axis: Literal["x", "y"]
    at: float | str
    label: str


@dataclass(frozen=True)
class Chart:
    """A drawing of lines in percent, unless it says otherwise. ``x`` holds dates, numbers or names.

    ``note`` says in a sentence what there is to see. An axis of dates needs no ``x_title``.
    """

    id: str
    title: str
    y_title: str
    x: Sequence[dt.date] | Sequence[float] | Sequence[str]
    series: Sequence[Series]
    note: str = ""
    kind: Kind = "lines"
    unit: Unit = "percent"
    x_title: str = ""
    marks: Sequence[Mark] = field(default=())
    # Of the y axis; None leaves the ends to the data.
    y_min: float | None = 0
    y_max: float | None = None
    tall: bool = False
    # What the bounds of a series are, for the table behind the chart.
    bounds: tuple[str, str] | None = None
    # Lines are drawn across so many days without data and no more; None: across any.
    max_gap: int | None = None
    # Of its picture and its table.
    file: str = ""
    # Where lines bear their names.
    names_at: Literal["end", "peak"] = "end"

    def data(self) -> dict[str, Any]:
        """Collect what static/js/charts.js reads, for json_script."""
        dates = bool(self.x) and isinstance(self.x[0], dt.date)
        names = bool(self.x) and isinstance(self.x[0], str)
        return {
            "title": self.title,
            "kind": self.kind,
            "unit": self.unit,
            "xTitle": self.x_title or (_("Date") if dates else ""),
            "yTitle": self.y_title,
            "xKind": "date" if dates else "name" if names else "number",
            "x": [value.isoformat() if isinstance(value, dt.date) else value for value in self.x],
            "series": [series.data() for series in self.series],
            "marks": [{"axis": mark.axis, "at": mark.at, "label": mark.label} for mark in self.marks],
            "bounds": list(self.bounds or (format_percent(0.025), format_percent(0.975))),
            "yMin": self.y_min,
            "yMax": self.y_max,
            "maxGap": self.max_gap,
            "file": self.file or self.id,
            "namesAt": self.names_at,
        }

    @property
    def data_id(self) -> str:
        return f"{self.id}-data"

    @property
    def is_empty(self) -> bool:
        return not self.x or not any(value is not None for series in self.series for value in series.values)


class Interval(NamedTuple):
    value: float
    low: float
    high: float


class SplitPart(NamedTuple):
    """One variant's piece of the bar: where it starts and how long it is, as fractions of the bar.

    ``shown``: its share as a legend prints it, which fills it in; those of all parts add up to 100%.
    """

    name: str
    start: Decimal
    share: Decimal
    colour: str
    shown: str = ""


def variant_colours(variants: Iterable[Variant]) -> dict[int, str]:
    """Give each variant, by its id, the same colour on every page: by order of creation, the control neutral."""
    colours: dict[int, str] = {}
    others = 0
    for variant in sorted(variants, key=lambda variant: variant.pk):
        others += not variant.is_control
        colours[variant.pk] = nth_colour(0 if variant.is_control else others)
    return colours


def nth_colour(place: int) -> str:
    """Name the colour of a variant by its place; the first, at 0, is the control's."""
    return f"variant-{(place - 1) % _COLOURS + 1}" if place else "variant-control"


def split_bar(shares: Iterable[AllocationShare], colours: dict[int, str]) -> list[SplitPart]:
    """Put the shares side by side."""
    parts: list[SplitPart] = []
    start = Decimal(0)
    for share in shares:
        parts.append(SplitPart(share.variant.name, start, share.share, colours[share.variant_id]))
        start += share.share
    return parts


# A bar of more parts than these shows the largest ones, and all others as one at its end.
_MOST_DRAWN = 12


def split_drawn(parts: Sequence[SplitPart]) -> Sequence[SplitPart]:
    """Choose the parts of a bar that are drawn; a hundred would be hairs, and most of the page."""
    if len(parts) <= _MOST_DRAWN:
        return parts
    smallest = sorted(parts, key=lambda part: part.share)[: len(parts) - _MOST_DRAWN + 1]
    left_out = {part.name for part in smallest}
    drawn, start = [], Decimal(0)
    for part in parts:
        if part.name not in left_out:
            drawn.append(part._replace(start=start))
            start += part.share
    return [*drawn, SplitPart("", start, Decimal(1) - start, OTHERS)]


class SplitLegend(NamedTuple):
    """The largest parts, and how many others there are with what they have together."""

    parts: list[SplitPart]
    others: int
    others_share: str


_MOST_NAMED = 4


def split_legend(parts: Sequence[SplitPart]) -> SplitLegend:
    """Name the parts of a split; of more than five the four largest."""
    if len(parts) <= _MOST_NAMED + 1:
        texts = format_shares([part.share for part in parts])
        return SplitLegend([p._replace(shown=text) for p, text in zip(parts, texts, strict=True)], 0, "")
    largest = sorted(parts, key=lambda part: -part.share)[:_MOST_NAMED]
    rest = Decimal(1) - sum((part.share for part in largest), Decimal(0))
    shown = format_shares([part.share for part in largest] + [max(rest, Decimal(0))])
    named = [part._replace(shown=text) for part, text in zip(largest, shown, strict=False)]
    return SplitLegend(named, len(parts) - _MOST_NAMED, shown[-1])


def single_bars(bars: Sequence[tuple[str, str, Interval]]) -> list[Series]:
    """Make a series of one bar each, by name, colour and interval, so that every bar has a colour of its own."""

    def only(place: int, value: float) -> list[float | None]:
        return [value if other == place else None for other in range(len(bars))]

    return [
        Series(name, colour, only(place, bar.value), only(place, bar.low), only(place, bar.high))
        for place, (name, colour, bar) in enumerate(bars)
    ]


def _rounded(values: Values) -> list[float | None]:
    """Round to six significant digits: what a pixel can show, at a third of the bytes."""
    return [None if value is None else float(f"{value:.6g}") for value in values]
