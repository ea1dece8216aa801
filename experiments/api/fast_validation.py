"""Validation of large JSON bodies by a serializer that is compiled for pydantic-core.

The serializer stays the only description of a body. A field says which values it takes as they are (``exact``);
pydantic-core checks those without running our code. A body of such values alone is done then. In any other, each other
value goes to the field itself, which accepts or refuses it. So the answers are the serializer's, and 10,000 rows take a
twentieth of its time.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

from pydantic_core import ErrorDetails, PydanticCustomError, SchemaValidator, ValidationError, core_schema
from rest_framework import serializers
from rest_framework.fields import empty

from experiments.api.fields import BoundedListField, StrictSerializer

# A field of any type, or a serializer within another one.
AnyField = Any

# The two branches of a field; pydantic-core puts their names at the end of the places it reports.
_EXACT, _JUDGED = "exact", "judged"


def validated(kind: type[StrictSerializer], data: object) -> dict[str, Any]:
    """Return the values of a body; raise DRF's ValidationError with everything that is wrong with it."""
    compiled = _compiled(kind)
    if not _no_wider([data], compiled.serializer):
        return _judged(kind, compiled, data)
    try:
        values: dict[str, Any] = compiled.exact.validate_python(data)
    except ValidationError:
        return _judged(kind, compiled, data)
    return values


def _no_wider(items: Sequence[Any], serializer: StrictSerializer) -> bool:
    """Tell whether none has more members than the serializer: pydantic-core keeps a problem for each unknown one."""
    try:
        return max(map(len, items), default=0) <= len(serializer.fields)
    except TypeError:
        return False


def _judged(kind: type[StrictSerializer], compiled: "_Compiled", data: object) -> dict[str, Any]:
    """Validate a body with a value that some field has to judge."""
    if not isinstance(data, dict):
        kind(data=data).is_valid(raise_exception=True)
        raise AssertionError("a serializer takes nothing but an object")
    problems: dict[Any, Any] = {}
    values: dict[str, Any] = {}
    try:
        values = compiled.judging.validate_python(data)
    except ValidationError as error:
        for found in error.errors(include_url=False):
            _add_problem(problems, compiled.serializer, found)
    _add_unknown(problems, compiled.serializer, data)
    if problems:
        raise serializers.ValidationError(problems)
    return values


class _Compiled(NamedTuple):
    """A serializer, and what it takes: exact values alone, and any, of which each field judges the others."""

    serializer: StrictSerializer
    exact: SchemaValidator
    judging: SchemaValidator


@cache
def _compiled(kind: type[StrictSerializer]) -> _Compiled:
    serializer = kind()
    exact, judging = (SchemaValidator(_serializer_schema(serializer, value)) for value in (_exact, _judging))
    return _Compiled(serializer, exact, judging)


# How the schema of a value is made of its field.
_ValueSchema = Callable[[AnyField], core_schema.CoreSchema]


def _serializer_schema(serializer: StrictSerializer, value: _ValueSchema) -> core_schema.CoreSchema:
    return core_schema.typed_dict_schema(
        {
            name: core_schema.typed_dict_field(_with_default(field, value), required=field.required)
            for name, field in serializer.fields.items()
        },
        # _add_unknown names them: to pydantic-core not every key of JSON is text
        extra_behavior="forbid" if value is _exact else "ignore",
    )


def _with_default(field: AnyField, value: _ValueSchema) -> core_schema.CoreSchema:
    schema = _list_schema(field, value) if isinstance(field, BoundedListField) else value(field)
    if field.required or field.default is empty:
        return schema
    return core_schema.with_default_schema(schema, default=field.default)


def _list_schema(field: AnyField, value: _ValueSchema) -> core_schema.CoreSchema:
    """Check the length before any item: a long list costs nothing to refuse."""
    child = field.child
    has_members = isinstance(child, StrictSerializer)

    def check(data: Any) -> Any:
        if type(data) is not list or not 0 < len(data) <= field.max_length:
            _judge(field)(data)
        if value is _exact and has_members and not _no_wider(data, child):
            raise ValueError("to be judged by the fields")
        return data

    item = _serializer_schema(child, value) if has_members else value(child)
    items = core_schema.list_schema(item, fail_fast=value is _exact)
    return core_schema.no_info_before_validator_function(check, items)


def _exact(field: AnyField) -> core_schema.CoreSchema:
    is_choice = isinstance(field, serializers.ChoiceField)
    schema: core_schema.CoreSchema = (
        core_schema.literal_schema(list(field.choices)) if is_choice else field.exact
    )
    return schema


def _judging(field: AnyField) -> core_schema.CoreSchema:
    judged = core_schema.no_info_plain_validator_function(_judge(field))
    return core_schema.union_schema([(_exact(field), _EXACT), (judged, _JUDGED)], mode="left_to_right")


def _judge(field: AnyField) -> Callable[[Any], Any]:
    """Wrap the field's own validation; its refusal travels through pydantic-core unchanged."""

    def judge(value: Any) -> Any:
        try:
            return field.run_validation(value)
        except serializers.ValidationError as error:
            raise PydanticCustomError(_JUDGED, _JUDGED, {"detail": error.detail}) from error

    return judge


def _add_problem(problems: dict[Any, Any], serializer: StrictSerializer, found: ErrorDetails) -> None:
    """Put a problem at its place, in the nesting of DRF's errors."""
    *place, last = found["loc"]
    if last == _EXACT:
        return
    if last != _JUDGED:
        place.append(last)
    field: Any = serializer
    for step in place:
        field = field.child if isinstance(step, int) else field.fields[step]
    for step in place[:-1]:
        problems = problems.setdefault(step, {})
    problems[place[-1]] = _detail(field, found)


def _detail(field: AnyField, found: ErrorDetails) -> object:
    if "ctx" in found and "detail" in found["ctx"]:
        return found["ctx"]["detail"]
    try:
        if found["type"] == "missing":
            field.fail("required")
        field.run_validation(found["input"])
    except serializers.ValidationError as error:
        return error.detail
    raise AssertionError(f"{field} takes what pydantic-core refuses: {found}")


def _add_unknown(problems: dict[Any, Any], serializer: StrictSerializer, data: dict[Any, Any]) -> None:
    """Add the fields that a body or one of its rows has and the serializer has not."""
    for name, field in serializer.fields.items():
        row: AnyField = getattr(field, "child", None)
        if isinstance(row, StrictSerializer) and isinstance(problems.get(name, {}), dict):
            in_rows = _unknown_of_rows(row, data[name])
            for index, unknown in in_rows.items():
                problems.setdefault(name, {}).setdefault(index, {}).update(unknown)
            if in_rows:
                problems[name] = dict(sorted(problems[name].items()))
    if not data.keys() <= serializer.fields.keys():
        problems.update(serializer.unknown_fields(data))


def _unknown_of_rows(row: StrictSerializer, data: Sequence[Any]) -> dict[int, dict[str, Any]]:
    known = set(row.fields)
    return {
        index: row.unknown_fields(item)
        for index, item in enumerate(data)
        if isinstance(item, dict) and not item.keys() <= known
    }
