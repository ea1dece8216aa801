"""Whole numbers that people type, in the language of the page.

Django's IntegerField reads 10.000, ten thousand in Portuguese, as ten.
"""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.formats import get_format

from experiments.tables.reading.numbers import Kind, NumberError, in_language


def typed_whole_number(text: str, kind: Kind = "whole") -> int:
    """Read a whole number in the page's language; raise ValidationError."""
    thousands, decimal = get_format("THOUSAND_SEPARATOR"), get_format("DECIMAL_SEPARATOR")
    try:
        return in_language(text, thousands, decimal, kind)
    except NumberError as error:
        raise ValidationError(str(error), code="invalid") from error


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
