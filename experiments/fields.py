"""Serializer parts that refuse what they do not know, in words that name the fix."""

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from experiments.models import HIGHEST_COUNT, NAME_LENGTH

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
        return {str(key)[:100]: [problem] for key in data if key not in self.fields}


@extend_schema_field({"type": "integer", "minimum": 0, "maximum": HIGHEST_COUNT})
class CountField(serializers.Field[int, Any, int, Any]):
    """A whole JSON number (10 or 10.0), never text, true or NaN."""

    default_error_messages = {  # noqa: RUF012 (DRF's way)
        "invalid": "Must be a whole number.",
        "out_of_range": f"Must be from 0 to {HIGHEST_COUNT}.",
    }

    def to_internal_value(self, data: Any) -> int:
        whole = isinstance(data, int) or (isinstance(data, float) and data.is_integer())
        if isinstance(data, bool) or not whole:
            self.fail("invalid")
        if not 0 <= data <= HIGHEST_COUNT:
            self.fail("out_of_range")
        return int(data)

    def to_representation(self, value: int) -> int:
        return value


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


class NameField(TextField):
    """A person's name for something: trimmed and printable."""

    default_error_messages = {  # noqa: RUF012 (DRF's way)
        "unprintable": "Must hold printable characters only.",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": NAME_LENGTH, **kwargs})

    def to_internal_value(self, data: Any) -> str:
        value = super().to_internal_value(data)
        if not value.isprintable():
            self.fail("unprintable")
        return value


@extend_schema_field({"oneOf": [{"type": "integer", "minimum": 1}, {"type": "string"}]})
class ExperimentReferenceField(serializers.Field[str, Any, str, Any]):
    """An experiment's id, or its key."""

    default_error_messages = {"invalid": "Must be an experiment's id or key."}  # noqa: RUF012 (DRF's way)

    def to_internal_value(self, data: Any) -> str:
        if (
            isinstance(data, bool)
            or not isinstance(data, int | str)
            or not str(data).isprintable()
            or data == ""
        ):
            self.fail("invalid")
        return str(data)

    def to_representation(self, value: str) -> str:
        return value
