"""Fields and serializers that refuse anything they do not know, with a message that names the fix.

``exact`` says which JSON values a field takes unchanged; experiments.api.fast_validation checks those in bulk.
"""

import datetime as dt
import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from pydantic_core import core_schema
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.fields import empty

from experiments.exceptions import MAX_ISSUES
from experiments.metrics import HIGHEST_COUNT
from experiments.text import ISO_DATE_PATTERN, NAME_LENGTH, NAME_PATTERN, is_name, parse_date


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer that refuses unknown fields: a misspelled setting must not be dropped silently."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = self.unknown_fields(data) if isinstance(data, Mapping) else {}
        try:
            values = super().to_internal_value(data)
        except serializers.ValidationError as error:
            if isinstance(error.detail, dict):
                raise serializers.ValidationError({**error.detail, **unknown}) from error
            raise
        if unknown:
            raise serializers.ValidationError(unknown)
        return values

    def unknown_fields(self, data: Mapping[Any, Any]) -> dict[str, list[ErrorDetail]]:
        allowed = ", ".join(name for name, field in self.fields.items() if not field.read_only)
        problem = ErrorDetail(f"Unknown field; the fields are {allowed}.", code="unknown_field")
        # there may be a million; no more than this are answered
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
        if data == []:
            self.fail("min_length", min_length=self.min_length)
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
    """A count of a day or of a sum of days."""

    exact = core_schema.int_schema(strict=True, ge=0, le=HIGHEST_COUNT)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=0, max_value=HIGHEST_COUNT, **kwargs)

    def to_internal_value(self, data: Any) -> int:
        """Check the range here: a validator of a field that is kept keeps the language of its first message."""
        value = super().to_internal_value(data)
        if value < 0:
            self.fail("min_value", min_value=0)
        if value > HIGHEST_COUNT:
            self.fail("max_value", max_value=HIGHEST_COUNT)
        return value


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

    exact = core_schema.chain_schema(
        [core_schema.str_schema(strict=True, pattern=f"^{ISO_DATE_PATTERN}$"), core_schema.date_schema()]
    )

    def to_internal_value(self, value: Any) -> dt.date:
        day = parse_date(value) if isinstance(value, str) else None
        if day is None:
            self.fail("invalid", format="YYYY-MM-DD")
        return day


class TextField(serializers.CharField):
    """Text, and no number or boolean in its place."""

    default_error_messages = {"invalid": "Must be text."}  # noqa: RUF012 (DRF's way)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


def _plain_name(value: Any) -> str:
    if isinstance(value, str) and is_name(value):
        return value.strip()
    raise ValueError("to be judged by the field")


@extend_schema_field({"type": "string", "maxLength": NAME_LENGTH, "pattern": NAME_PATTERN})
class NameField(TextField):
    """A name that a person gave; surrounding spaces are removed."""

    default_error_messages = {  # noqa: RUF012 (DRF's way)
        "unprintable": f"Must be 1 to {NAME_LENGTH} characters, one of them visible and none a control character.",
    }
    exact = core_schema.no_info_plain_validator_function(_plain_name)

    def to_internal_value(self, data: Any) -> str:
        if isinstance(data, str) and not is_name(data):
            self.fail("unprintable")
        return super().to_internal_value(data)

    def run_validation(self, data: Any = empty) -> Any:
        """Refuse blank text with this field's own message, not CharField's."""
        return super(serializers.CharField, self).run_validation(data)


REFERENCE_PATTERN = r"^[A-Za-z0-9_-]+$"


@extend_schema_field(
    {"oneOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": REFERENCE_PATTERN}]}
)
class ExperimentReferenceField(serializers.Field[str, Any, str, Any]):
    """An experiment's id, or its key."""

    default_error_messages = {"invalid": "Must be an experiment's id or key."}  # noqa: RUF012 (DRF's way)
    exact = core_schema.str_schema(strict=True, pattern=REFERENCE_PATTERN)

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
