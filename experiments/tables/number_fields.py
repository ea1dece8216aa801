"""Numbers that people type, in the language of the page.

Django's fields read 10.000, ten thousand in Portuguese, as ten.
"""

import re
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.formats import get_format
from django.utils.translation import gettext

from experiments.tables.reading.numbers import Kind, NumberError, in_language

# Characters of a number, beyond which it is written with an exponent.
_LONGEST_PLAIN = 20


def typed_whole_number(text: str, kind: Kind = "whole") -> int:
    """Read a whole number in the page's language; raise ValidationError."""
    return int(_typed(text, kind))


def _typed(text: str, kind: Kind) -> Decimal:
    thousands, decimal = get_format("THOUSAND_SEPARATOR"), get_format("DECIMAL_SEPARATOR")
    try:
        return in_language(text, thousands, decimal, kind)
    except NumberError as error:
        raise ValidationError(str(error), code="invalid") from error


# Python's own numbers are wider: 1_000, and the digits of every script.
_PLAIN = re.compile(r"[-+0-9.,eE\s]*")


class _PlainDigits:
    """A mixin for Django's fields of numbers: they read the digits 0 to 9 and nothing that only Python writes."""

    def to_python(self, value: Any) -> Any:
        field: Any = super()
        if isinstance(value, str) and not _PLAIN.fullmatch(value):
            raise ValidationError(gettext("Enter a number."), code="invalid")
        return field.to_python(value)


class PlainDecimalField(_PlainDigits, forms.DecimalField):
    """A decimal number in the digits 0 to 9. A comma may be its point, as an address or a paste has it: 8,78.

    The field of the browser, which shows a number in its own language, sends a point. ``has_thousands``: three digits
    behind a comma may be thousands, as the page's language says.
    """

    has_thousands = True

    def to_python(self, value: Any) -> Any:
        return super().to_python(self._with_point(value))

    def prepare_value(self, value: Any) -> Any:
        return super().prepare_value(self._with_point(value))

    def _with_point(self, value: Any) -> Any:
        """Write the comma of decimals as a point."""
        found = _ONE_COMMA.fullmatch(value) if isinstance(value, str) else None
        if found is None or (
            self.has_thousands and len(found[2]) == 3 and get_format("DECIMAL_SEPARATOR") != ","
        ):
            return value
        return f"{found[1]}.{found[2]}"


_ONE_COMMA = re.compile(r"\s*([-+]?[0-9]+),([0-9]+)\s*")
_ONE_POINT = re.compile(r"[-+]?[0-9]+\.[0-9]+")


class PercentField(PlainDecimalField):
    """A percentage that is shown as the page's language writes it, and read with a point or a comma in any language.

    It is a field of text: a browser's own field of numbers writes them in the browser's language.
    """

    widget = forms.TextInput(attrs={"inputmode": "decimal"})
    has_thousands = False

    def prepare_value(self, value: Any) -> Any:
        shown = super().prepare_value(value)
        return with_decimal_sign(str(shown)) if _ONE_POINT.fullmatch(str(shown)) else shown


def with_decimal_sign(number: str) -> str:
    """Write the decimal point of a number as the page's language does."""
    return number.replace(".", get_format("DECIMAL_SEPARATOR"))


class PlainFloatField(_PlainDigits, forms.FloatField):
    """A number in the digits 0 to 9."""


class PlainIntegerField(_PlainDigits, forms.IntegerField):
    """A whole number in the digits 0 to 9."""


class WholeNumberField(forms.IntegerField):
    """A whole number: 10000, 10.000 or 10,000 as the page's language writes it, 10000.0; never a part of one."""

    kind: Kind = "whole"

    def to_python(self, value: Any) -> int | None:
        if value in self.empty_values or not isinstance(value, str):
            return super().to_python(value)
        return typed_whole_number(value, self.kind)


class CountField(WholeNumberField):
    """A count of a day."""

    def __init__(self, *, kind: Kind = "whole", **options: Any) -> None:
        super().__init__(**options)
        self.kind = kind


class _AmountMixin:
    """An amount, shown and read in the page's language.

    It is a field of text: a browser's own field of numbers sends a decimal point in any language.
    """

    widget = forms.TextInput

    def prepare_value(self, value: Any) -> Any:
        return _written(value) if isinstance(value, Decimal | float) else value


class AmountField(_AmountMixin, forms.DecimalField):
    """An amount of money: 12,50 or 1.234,50 as the page's language writes it."""

    def to_python(self, value: Any) -> Any:
        if value in self.empty_values or not isinstance(value, str):
            return super().to_python(value)
        return _typed(value, "decimal")


class SquaresField(_AmountMixin, forms.FloatField):
    """A sum of squares, which may be as large as 1e+30."""

    def to_python(self, value: Any) -> Any:
        if value in self.empty_values or not isinstance(value, str):
            return super().to_python(value)
        return float(_typed(value, "decimal"))


def _written(value: Decimal | float) -> str:
    """Write an amount as it is read back: with all its digits, and no separators of thousands."""
    plain = f"{Decimal(str(value)).normalize():f}"
    if len(plain) > _LONGEST_PLAIN and isinstance(value, float):
        return str(value)
    return with_decimal_sign(plain)
