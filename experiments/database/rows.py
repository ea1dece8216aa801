"""Model instances of statements that are written by hand: for calls where the ORM takes ten times as long to build a
statement as the database to run it.

The columns and their conversions are the model's own, on either database.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Generic, TypeVar

from django.db import connection, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.base import ModelState

from experiments.database.replica import alias_to_read

Instance = TypeVar("Instance", bound=models.Model)
Row = Sequence[Any]
# Of a number or a text, the field's own conversion makes the same.
_NATIVE = frozenset({type(None), int, float, str})
_AT_ONCE = 2000
_Converters = list[tuple[int, list[Callable[..., Any]], Any]]


class Columns(Generic[Instance]):
    """The first columns of a hand-written SELECT, which make an instance; ``sql`` names them.

    ``alias`` is the table's name in the statement; fields ``without`` are read once they are asked for.
    """

    def __init__(self, model: type[Instance], alias: str, without: Collection[str] = ()) -> None:
        self._model = model
        self._fields = [field for field in model._meta.concrete_fields if field.name not in without]
        self._names = [field.attname for field in self._fields]
        self.sql = ", ".join(f"{alias}.{field.column}" for field in self._fields)
        self.width = len(self._fields)
        self._converters = lru_cache(self._converters_for)

    def instance(self, row: Row) -> Instance:
        """Build the instance; what is in the row behind its columns is the caller's."""
        alias, values = alias_to_read(), list(row[: self.width])
        for place, converters, expression in self._converters(alias):
            for convert in converters:
                values[place] = convert(values[place], expression, connections[alias])
        return _made(self._model, zip(self._names, values, strict=True), alias)

    def _converters_for(self, alias: str) -> _Converters:
        """List the conversions that the ORM would make, by the column's place."""
        found: _Converters = []
        reading = connections[alias]
        for place, field in enumerate(self._fields):
            expression = field.cached_col
            own = [*reading.ops.get_db_converters(expression), *expression.get_db_converters(reading)]
            if own:
                found.append((place, own, expression))
        return found


def unsaved(model: type[Instance], **values: Any) -> Instance:
    """Build a new row from values by attribute name, ``experiment_id`` for a link; what is not named has its default.

    The model's own constructor looks at every field for what may have been given, which takes ten times as long.
    """
    return _made(model, (_defaults(model) | values).items(), None)


def _made(model: type[Instance], values: Iterable[tuple[str, Any]], alias: str | None) -> Instance:
    """Build an instance, read from the database of that alias; nobody listens to the signals of a constructor."""
    instance = model.__new__(model)
    state = ModelState()
    state.adding, state.db = alias is None, alias
    vars(instance).update(values, _state=state)
    return instance


@lru_cache
def _defaults(model: type[models.Model]) -> dict[str, Any]:
    """List the defaults that are the same for every row; others, such as the time, are not made here."""
    fields = model._meta.concrete_fields
    made = (field for field in fields if not (field.has_default() and callable(field.default)))
    return {field.attname: field.get_default() for field in made}


def _reading() -> BaseDatabaseWrapper:
    """Where the statement goes that the ORM would send to what it reads from."""
    return connections[alias_to_read()]


def rows_of(sql: str, parameters: Row) -> list[Row]:
    """Run a SELECT and return its rows as the driver has them; within a block that may lag, a replica's."""
    with _reading().cursor() as cursor:
        cursor.execute(sql, parameters)
        rows: list[Row] = cursor.fetchall()
    return rows


def stream_of(sql: str, parameters: Row) -> Iterator[Row]:
    """Run a SELECT and give its rows one after the other: of many, only a few are Python's at a time."""
    with _reading().cursor() as cursor:
        cursor.execute(sql, parameters)
        while rows := cursor.fetchmany(_AT_ONCE):
            yield from rows


def places(values: Collection[object]) -> str:
    """Write the placeholders of an IN; never of nothing, which is no SQL."""
    return ", ".join(["%s"] * len(values))


def insert(instances: Sequence[models.Model], *, batch_size: int = 1000) -> None:
    """Insert new rows of one model, each with a key of the database, as bulk_create does."""
    for start in range(0, len(instances), batch_size):
        _insert(instances[start : start + batch_size])


def _insert(instances: Sequence[models.Model]) -> None:
    model = type(instances[0])
    if not connection.features.can_return_rows_from_bulk_insert:
        model._default_manager.bulk_create(instances)
        return
    fields = _written(model)
    rows = [[_value(instance, *field) for field in fields] for instance in instances]
    for instance, (key,) in zip(instances, _insert_rows(model, rows), strict=True):
        instance.pk, instance._state.adding, instance._state.db = key, False, connection.alias


def _insert_rows(model: type[models.Model], rows: Sequence[Row]) -> list[Row]:
    values = ", ".join([f"({places(rows[0])})"] * len(rows))
    return rows_of(f"{_into(model)} VALUES {values} RETURNING id", [value for row in rows for value in row])


def _into(model: type[models.Model]) -> str:
    columns = ", ".join(field.column for field, _is_plain in _written(model))
    return f"INSERT INTO {model._meta.db_table} ({columns})"


@lru_cache
def _written(model: type[models.Model]) -> tuple[tuple[Any, bool], ...]:
    """List the fields, and of each whether the driver takes numbers and texts as they are."""
    plain = (models.FloatField, models.IntegerField, models.CharField, models.ForeignKey)
    return tuple((f, isinstance(f, plain)) for f in model._meta.concrete_fields if not f.primary_key)


def _value(instance: models.Model, field: Any, is_plain: bool) -> Any:
    value = field.pre_save(instance, add=True)
    return value if is_plain and type(value) in _NATIVE else field.get_db_prep_save(value, connection)
