"""Texts that people write and read: names, which show something and hide nothing, and numbers."""

import datetime as dt
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from django.utils.formats import date_format, number_format
from django.utils.translation import get_language
from django.utils.translation import gettext as _

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

# A text of the pages, translated when it is shown.
Text: TypeAlias = "str | _StrPromise"

NAME_LENGTH = 200

# Control characters and characters that hide text or reverse its direction.
_INVISIBLE = r"\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
# Shown as nothing, or as a space, and taken in names: emoji and some scripts are written with them. By themselves they
# are no name, and they tell no two names apart.
_UNSEEN = dict.fromkeys(
    [
        0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x2800, 0x3164, *range(0xFE00, 0xFE10),
        0xFFA0, *range(0xFFF0, 0xFFFC), *range(0x1BCA0, 0x1BCA4), *range(0x1D173, 0x1D17B), *range(0xE0000, 0xE1000),
    ]
)  # fmt: skip
NAME_PATTERN = rf"^[^{_INVISIBLE}]*[^\s{_INVISIBLE}][^{_INVISIBLE}]*$"
_NAME = re.compile(NAME_PATTERN)
ISO_DATE_PATTERN = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_ISO_DATE = re.compile(ISO_DATE_PATTERN)
# Digits for each float there is and the decimals that are shown of it; by default there are 28.
_WIDE = Context(prec=400)
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def is_name(text: str) -> bool:
    is_writable = len(text) <= NAME_LENGTH and bool(_NAME.match(text)) and not _SURROGATE.search(text)
    return is_writable and bool(visible(text).strip())


def visible(text: str) -> str:
    """Leave out what is not seen."""
    # all of that is beyond ASCII, and to look takes a tenth of the time
    return text if text.isascii() else text.translate(_UNSEEN)


def parse_date(text: str) -> dt.date | None:
    """Read a calendar day written as 2025-08-14 and in no other way; return None for anything else."""
    if not _ISO_DATE.fullmatch(text):
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return None


_is_page = ContextVar("is_page", default=False)


@contextmanager
def on_a_page() -> Iterator[None]:
    """Let messages name days as pages do; programs read them as 2025-08-14."""
    token = _is_page.set(True)
    try:
        yield
    finally:
        _is_page.reset(token)


def written_day(date: dt.date) -> str:
    """Write a day within a message: 14 Aug 2025 on a page, in its language, and 2025-08-14 anywhere else."""
    return date_format(date, _("j M Y")) if _is_page.get() else date.isoformat()


def format_number(value: float | Decimal, decimals: int) -> str:
    """Round by decimal digits, so that 2.45 becomes 2.5 wherever it is shown; separate thousands.

    What rounds to 0 has no sign.
    """
    return _format(value, decimals, get_language())


@lru_cache(maxsize=4096, typed=True)
def _format(value: float | Decimal, decimals: int, language: str | None) -> str:
    """Write a number in the current ``language``. A page of many variants writes the same numbers several times."""
    exact = Decimal(str(value)).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP, _WIDE)
    return number_format(_WIDE.plus(exact), decimals, force_grouping=True)


def format_exact(value: float | Decimal) -> str:
    """Write a number with all its digits and no trailing zeros; separate thousands."""
    plain = Decimal(str(value)).normalize(_WIDE)
    decimals = max(0, -int(plain.as_tuple().exponent))
    return number_format(plain, decimals, force_grouping=True)


def format_percent(fraction: float | Decimal, decimals: int = 1) -> str:
    return f"{format_number(100 * Decimal(str(fraction)), decimals)}%"


def format_chance(probability: float | None) -> str:
    """Write a probability, never as certain or impossible."""
    if probability is None:
        return "–"
    if probability > 0.999:
        return f"> {format_percent(0.999)}"
    return f"< {format_percent(0.001)}" if probability < 0.001 else format_percent(probability)
