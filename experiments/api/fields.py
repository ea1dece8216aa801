"""Serializer parts that refuse what they do not know, in words that name the fix."""

import datetime as dt
import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.fields import empty

from experiments.exceptions import MAX_ISSUES
from experiments.metrics import HIGHEST_COUNT
from experiments.text import NAME_LENGTH, NAME_PATTERN, is_name

_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields it does not have: a misspelt setting must not be dropped in silence."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = self._unknown_fields(data) if isinstance(data, Mapping) else {}
        try:
            values = super().to_internal_value(data)
        except serializers.ValidationError as error:
            if isinstance(error.detail, dict):
                raise serializers.ValidationError({**error.detail, **unknown}) from error
            raise
        if unknown:
            raise serializers.ValidationError(unknown)
        return values

    def _unknown_fields(self, data: Mapping[Any, Any]) -> dict[str, list[ErrorDetail]]:
        allowed = ", ".join(name for name, field in self.fields.items() if not field.read_only)
        problem = ErrorDetail(f"Unknown field; the fields are {allowed}.", code="unknown_field")
        # no more than are answered: there may be a million
        unknown = islice((key for key in data if key not in self.fields), MAX_ISSUES)
        return {str(key)[:100]: [problem] for key in unknown}


class BoundedListField(serializers.ListField):
    """A list whose length is checked before any of its items: a long list costs nothing to refuse."""

    def __init__(self, *, min_length: int = 1, **kwargs: Any) -> None:
        super().__init__(min_length=min_length, **kwargs)

    def to_internal_value(self, data: Any) -> list[Any]:
        longest = self.max_length or 0
        if isinstance(data, list) and len(data) > longest:
            raise serializers.ValidationError(
                f"At most {longest:,} items are taken, not {len(data):,}.", "max_length"
            )
        items: list[Any] = super().to_internal_value(data)
        return items


class WholeNumberField(serializers.IntegerField):
    """A whole JSON number (10 or 10.0), never text, true or NaN."""

    default_error_messages = {"invalid": "Must be a whole number."}  # noqa: RUF012 (DRF's way)

    def to_internal_value(self, data: Any) -> int:
        whole = isinstance(data, int) or (isinstance(data, float) and data.is_integer())
        if isinstance(data, bool) or not whole:
            self.fail("invalid")
        return int(data)


class CountField(WholeNumberField):
    """Impressions, clicks or conversions."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=0, max_value=HIGHEST_COUNT, **kwargs)


class NumberField(serializers.FloatField):
    """A JSON number, never text, true or NaN."""

    default_error_messages = {"invalid": "Must be a number."}  # noqa: RUF012 (DRF's way)

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float) or not -1e300 < data < 1e300:
            self.fail("invalid")
        return float(data)


class TrueOrFalseField(serializers.BooleanField):
    """A JSON boolean, and no text or number in its place."""

    default_error_messages = {"invalid": "Must be true or false."}  # noqa: RUF012 (DRF's way)

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return data


@extend_schema_field(OpenApiTypes.DATE)
class DayField(serializers.DateField):
    """A calendar day as 2025-08-14 and in no other way."""

    def to_internal_value(self, value: Any) -> dt.date:
        if not isinstance(value, str) or not _ISO_DATE.fullmatch(value):
            self.fail("invalid", format="YYYY-MM-DD")
        return super().to_internal_value(value)


class TextField(serializers.CharField):
    """Text, and no number or boolean in its place."""

    default_error_messages = {"invalid": "Must be text."}  # noqa: RUF012 (DRF's way)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field({"type": "string", "maxLength": NAME_LENGTH, "pattern": NAME_PATTERN})
class NameField(TextField):
    """A person's name for something; spaces around it are taken off."""

    default_error_messages = {  # noqa: RUF012 (DRF's way)
        "unprintable": f"Must be 1 to {NAME_LENGTH} characters, one of them visible and none a control character.",
    }

    def to_internal_value(self, data: Any) -> str:
        if isinstance(data, str) and not is_name(data):
            self.fail("unprintable")
        return super().to_internal_value(data)

    def run_validation(self, data: Any = empty) -> Any:
        """Blank text is refused with the field's own words, not CharField's."""
        return super(serializers.CharField, self).run_validation(data)


REFERENCE_PATTERN = r"^[A-Za-z0-9_-]+$"


@extend_schema_field(
    {"oneOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": REFERENCE_PATTERN}]}
)
class ExperimentReferenceField(serializers.Field[str, Any, str, Any]):
    """An experiment's id, or its key."""

    default_error_messages = {"invalid": "Must be an experiment's id or key."}  # noqa: RUF012 (DRF's way)

    def to_internal_value(self, data: Any) -> str:
        usable = isinstance(data, int | str) and not isinstance(data, bool)
        if (
            not usable
            or not re.fullmatch(REFERENCE_PATTERN.strip("^$"), str(data))
            or (isinstance(data, int) and data < 1)
        ):
            self.fail("invalid")
        return str(data)

    def to_representation(self, value: str) -> str:
        return value
