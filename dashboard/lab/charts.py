"""Charts and names that several of the lab's pages draw, by pure functions of their results."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from django.utils.translation import gettext as _

from allocation.engine.lab.report import WatchedResult
from dashboard.charts import Series
from dashboard.lab.columns import Column
from experiments.text import format_exact


def variant_names(rates: Sequence[float]) -> list[str]:
    """Name the control, then B, C, ..., each with its true rate."""
    names = [
        _("Control"),
        *(_("Variant %(letter)s") % {"letter": chr(ord("A") + n)} for n in range(1, len(rates))),
    ]
    return [f"{name}, {_rate(rate)}" for name, rate in zip(names, rates, strict=True)]


def _rate(rate: float) -> str:
    return f"{format_exact(Decimal(f'{100 * rate:.6f}'))}%"


def lines(
    columns: Sequence[Column],
    results: Mapping[str, WatchedResult],
    values: Callable[[WatchedResult], Sequence[float]],
) -> list[Series]:
    return [Series(column.name, column.colour, values(results[column.key])) for column in columns]


def day_numbers(days: int) -> list[float]:
    return [float(day) for day in range(1, days + 1)]
