"""What pages draw, as plain data: pure functions of what was read."""

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from allocation.models import AllocationShare

_COLOURS = 7


class SplitPart(NamedTuple):
    """One variant's piece of the bar, in percent of its length."""

    name: str
    start: Decimal
    percent: Decimal
    colour: str


def split_bar(shares: Iterable[AllocationShare]) -> list[SplitPart]:
    """The shares side by side, each variant always in its own colour, the control in the neutral one."""
    parts: list[SplitPart] = []
    start, others = Decimal(0), 0
    for share in shares:
        if not share.variant.is_control:
            others += 1
        colour = "variant-control" if share.variant.is_control else f"variant-{(others - 1) % _COLOURS + 1}"
        percent = share.share * 100
        parts.append(SplitPart(share.variant.name, start, percent, colour))
        start += percent
    return parts
