"""Fields and serializers that refuse anything they do not know, with a message that names the fix.

``exact`` says which JSON values a field takes unchanged; experiments.api.fast_validation checks those in bulk.
"""

import datetime as dt
import re
from collections.abc import Mapping
from decimal import Decimal
from itertools import islice
from typing import Any

from django.utils.dateparse import parse_datetime
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from pydantic_core import core_schema
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.fields import empty
from rest_framework.settings import api_settings

from experiments.campaign.models import MAX_TAGS, TAG_LENGTH, TAG_PATTERN
from experiments.exceptions import MAX_ISSUES
from experiments.metrics import HIGHEST_COUNT, HIGHEST_SQUARES, HIGHEST_VALUE, VALUE_PLACES
from experiments.text import ISO_DATE_PATTERN, NAME_LENGTH, NAME_PATTERN, is_name, parse_date

# Of one row.
MAX_SINGLE_VALUES = 10_000


def one_of(*exact: core_schema.CoreSchema) -> core_schema.CoreSchema:
    """Take what the first of these takes; what none does is one problem."""
    return core_schema.union_schema(
        list(exact), mode="left_to_right", custom_error_type="inexact", custom_error_message="none takes it"
    )


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer that refuses unknown fields: a misspelled setting must not be dropped silently."""

    def run_validation(self, data: Any = empty) -> Any:
        if data is None and self.root is self:
            # the framework's own words name no fix
            raise _no_object(data)
        return super().run_validation(data)

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            raise _no_object(data)
        unknown = self.unknown_fields(data)
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
        said = f"the fields are {allowed}" if allowed else "this call takes none"
        problem = ErrorDetail(f"Unknown field; {said}.", code="unknown_field")
        # there may be a million; no more than this are answered
        unknown = islice((key for key in data if key not in self.fields), MAX_ISSUES)
        return {str(key)[:100]: [problem] for key in unknown}


def _no_object(data: object) -> serializers.ValidationError:
    said = ErrorDetail(f"Must be a JSON object, not {kind_of(data)}.", code="invalid")
    return serializers.ValidationError({api_settings.NON_FIELD_ERRORS_KEY: [said]})


def kind_of(value: object) -> str:
    """Name the kind of a JSON value in words, where Python's own would be no help."""
    if isinstance(value, bool):
        return "true or false"
    if value is None:
        return "null"
    kinds = {str: "a text", int: "a number", float: "a number", list: "a list"}
    return kinds.get(type(value), "an object")


class OneOfField(serializers.ChoiceField):
    """A choice whose refusal lists the choices."""

    def __init__(self, choices: Any, **kwargs: Any) -> None:
        super().__init__(choices, **kwargs)
        listed = ", ".join(map(str, self.choices)).replace("{", "{{").replace("}", "}}")
        self.error_messages["invalid_choice"] = f'"{{input}}" is not a valid choice; must be one of {listed}.'


class BoundedListField(serializers.ListField):
    """A list whose length is checked before any of its items: a long list costs nothing to refuse."""

    default_error_messages = {"not_a_list": "Must be a list, not {input_type}."}  # noqa: RUF012 (DRF's way)

    def __init__(self, *, min_length: int = 1, **kwargs: Any) -> None:
        super().__init__(min_length=min_length, **kwargs)

    def to_internal_value(self, data: Any) -> list[Any]:
        if not isinstance(data, list):
            self.fail("not_a_list", input_type=kind_of(data))
        longest = self.max_length or 0
        if len(data) > longest:
            raise serializers.ValidationError(
                f"At most {longest:,} items are taken, not {len(data):,}.", "max_length"
            )
        if data == []:
            self.fail("min_length", min_length=self.min_length)
        items: list[Any] = super().to_internal_value(data)
        return items


_DIGITS = re.compile("-?[0-9]{1,20}")


class WholeNumberField(serializers.IntegerField):
    """A whole JSON number (10 or 10.0), never text, true or NaN."""

    default_error_messages = {"invalid": "Must be a whole number."}  # noqa: RUF012 (DRF's way)

    def to_internal_value(self, data: Any) -> int:
        whole = isinstance(data, int) or (isinstance(data, float) and data.is_integer())
        if isinstance(data, bool) or not whole:
            self.fail("invalid")
        return int(data)


class QueryNumberField(serializers.IntegerField):
    """A whole number of a query, in the digits 0 to 9."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, str) and not _DIGITS.fullmatch(data):
            self.fail("invalid")
        return super().to_internal_value(data)


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


# From here on a JSON number has too few digits for the decimal places.
_LARGEST_EXACT = 10**11
_AMOUNT = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
AMOUNT_SCHEMA: dict[str, Any] = {
    "oneOf": [
        {"type": "number", "minimum": 0, "maximum": float(HIGHEST_VALUE)},
        {"type": "string", "pattern": rf"^[0-9]{{1,15}}(\.[0-9]{{1,{VALUE_PLACES}}})?$"},
    ]
}


def _plain_amount(value: Any) -> Decimal:
    if type(value) is int or (type(value) is float and abs(value) < _LARGEST_EXACT):
        amount = Decimal(str(value))
        if 0 <= amount <= HIGHEST_VALUE and amount == round(amount, VALUE_PLACES):
            return amount
    raise ValueError("to be judged by the field")


@extend_schema_field(AMOUNT_SCHEMA)
class AmountField(serializers.Field[Decimal, Any, Decimal, Any]):
    """An exact amount: a JSON number, or text where that has more digits than a number keeps."""

    default_error_messages = {  # noqa: RUF012 (DRF's way)
        "invalid": 'Must be a number, or text such as "12.50".',
        "too_precise": f"Must have at most {VALUE_PLACES} decimal places; round it.",
        "inexact": 'A number this large is exact only as text, such as "123456789012.3456".',
        "out_of_range": f"Must be from 0 to {HIGHEST_VALUE}: check its sign and its digits.",
    }
    exact = core_schema.no_info_plain_validator_function(_plain_amount)

    def to_internal_value(self, data: Any) -> Decimal:
        amount = self._parsed(data)
        if not 0 <= amount <= HIGHEST_VALUE:
            self.fail("out_of_range")
        if amount != round(amount, VALUE_PLACES):
            self.fail("too_precise")
        return amount

    def _parsed(self, data: Any) -> Decimal:
        is_number = isinstance(data, int | float) and not isinstance(data, bool)
        if isinstance(data, float) and not -1e300 < data < 1e300:
            self.fail("invalid")
        if not is_number and not (isinstance(data, str) and _AMOUNT.fullmatch(data)):
            self.fail("invalid")
        if isinstance(data, int) and abs(data) > HIGHEST_VALUE:
            self.fail("out_of_range")
        if isinstance(data, float) and abs(data) >= _LARGEST_EXACT and not data.is_integer():
            self.fail("inexact")
        return Decimal(str(data))

    def to_representation(self, value: Decimal) -> Any:
        return amount_as_json(value)


def amount_as_json(value: Decimal) -> float | str:
    """Return the number, or text where a number cannot keep every digit."""
    number = float(value)
    return number if Decimal(str(number)) == value else str(value)


def _plain_amounts(value: Any) -> list[Decimal]:
    if type(value) is list and len(value) <= MAX_SINGLE_VALUES:
        return [_plain_amount(item) for item in value]
    raise ValueError("to be judged by the field")


class AmountsField(serializers.ListField):
    """Single amounts. The length is checked before any of them."""

    exact = core_schema.no_info_plain_validator_function(_plain_amounts)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(child=AmountField(), max_length=MAX_SINGLE_VALUES, **kwargs)

    def to_internal_value(self, data: Any) -> list[Any]:
        if isinstance(data, list) and len(data) > MAX_SINGLE_VALUES:
            raise serializers.ValidationError(
                f"At most {MAX_SINGLE_VALUES:,} values are taken, not {len(data):,}.", "max_length"
            )
        items: list[Any] = super().to_internal_value(data)
        return items


class SquaresField(NumberField):
    """A sum of squares of values."""

    exact = core_schema.float_schema(ge=0, le=HIGHEST_SQUARES, strict=True, allow_inf_nan=False)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=0, max_value=HIGHEST_SQUARES, **kwargs)


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


class MomentField(serializers.DateTimeField):
    """A moment of the calendar in ISO 8601, with its offset from UTC."""

    default_error_messages = {  # noqa: RUF012 (DRF's way)
        "invalid": "Must be a moment with its offset from UTC, such as 2025-08-14T09:00:00Z."
    }

    def to_internal_value(self, value: Any) -> dt.datetime:
        try:
            moment = parse_datetime(value) if isinstance(value, str) else None
            if moment is not None and moment.tzinfo is not None:
                return moment.astimezone(dt.UTC)
        except (ValueError, OverflowError):
            pass
        self.fail("invalid")
        raise AssertionError("fail() raises")


@extend_schema_field(
    {"type": "array", "maxItems": MAX_TAGS, "items": {"type": "string", "pattern": TAG_PATTERN}}
)
class TagsField(serializers.ListField):
    """A list of tags, kept in small letters, each once."""

    default_error_messages = {  # noqa: RUF012 (DRF's way)
        "not_a_list": "Must be a list of words.",
        "not_a_tag": f"A tag is a word: letters, digits and . : / & + - _, at most {TAG_LENGTH} of them.",
        "too_many": f"At most {MAX_TAGS} tags are kept.",
    }

    def to_internal_value(self, data: Any) -> list[Any]:
        if isinstance(data, list) and len(data) > MAX_TAGS:
            self.fail("too_many")
        items = super().to_internal_value(data)
        if not all(isinstance(item, str) and re.fullmatch(TAG_PATTERN, item) for item in items):
            self.fail("not_a_tag")
        return items


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


# Printable ASCII without spaces around it is a name as it is; only other texts are looked at by our code.
_ASCII_NAME = core_schema.str_schema(strict=True, max_length=NAME_LENGTH, pattern="^[!-~]([ -~]*[!-~])?$")


@extend_schema_field({"type": "string", "maxLength": NAME_LENGTH, "pattern": NAME_PATTERN})
class NameField(TextField):
    """A name that a person gave; surrounding spaces are removed."""

    default_error_messages = {  # noqa: RUF012 (DRF's way)
        "unprintable": f"Must be 1 to {NAME_LENGTH} characters, one of them visible and none a control character.",
    }
    exact = one_of(_ASCII_NAME, core_schema.no_info_plain_validator_function(_plain_name))

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
    exact = one_of(
        core_schema.chain_schema(
            [core_schema.int_schema(strict=True, ge=1), core_schema.str_schema(coerce_numbers_to_str=True)]
        ),
        core_schema.str_schema(strict=True, pattern=REFERENCE_PATTERN),
    )

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
