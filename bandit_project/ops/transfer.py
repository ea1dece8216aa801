"""Export and import of a whole installation as one file, between any two databases.

The file is gzipped JSON lines. The first line names the format and the newest migration of each app. Then comes each
row with its table. The last line has the number of rows and the SHA-256 of all lines before it. A file that is cut
short, changed or of another schema is refused. An import writes everything or nothing, into an empty installation.

The file does not hold sessions, answers kept for an Idempotency-Key, unconfirmed uploads, the scheduler's finished
jobs and heartbeats, a sweep's marks and sums, what the database itself keeps of the newest decisions, counts against
the caps of serve keys, and failed logins. It holds keys and passwords as digests, and the secrets that sign webhooks in
plain text: keep it as safe as the database.
"""

import datetime as dt
import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from itertools import groupby, islice
from typing import IO, Any
from uuid import UUID

from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import ValidationError
from django.core.management.color import no_style
from django.db import connection, models, transaction
from django.db.migrations.recorder import MigrationRecorder

from experiments.exceptions import ConflictError, InvalidError, Issue

FORMAT, VERSION = "bandit-installation", 1
_APPS = ("auth", "bandit_project", "experiments", "allocation", "notifications", "dashboard")
_LEFT_OUT = {
    "auth.permission", "experiments.idempotentanswer", "experiments.csvupload",
    "bandit_project.jobrun", "bandit_project.heartbeat", "allocation.sweepmark",
    "allocation.closedtraffic", "allocation.newestdecision",
}  # fmt: skip
_CHUNK = 1000


def export_installation(file: IO[bytes], *, now: dt.datetime) -> Counter[str]:
    """Write every row as of one moment; return the number of rows of each table."""
    counts: Counter[str] = Counter()
    digest = hashlib.sha256()
    with gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as out, _one_moment():
        for line in _lines(now, counts):
            digest.update(line)
            out.write(line)
        out.write(_line({"rows": counts.total(), "sha256": digest.hexdigest()}))
    return counts


def import_installation(file: IO[bytes]) -> Counter[str]:
    """Read an exported file into an empty installation, all or nothing; return the number of rows of each table.

    Raises ConflictError where the installation is not empty, InvalidError for a file that is not an export, is
    incomplete, or comes from another schema.
    """
    counts: Counter[str] = Counter()
    with transaction.atomic():
        _refuse_occupied()
        rows = _checked_rows(file)
        _refuse_other_schema(next(rows, {}))
        for table, group in groupby(rows, key=lambda row: str(row["table"])):
            counts[table] += _insert(_model(table), (row["row"] for row in group))
        _raise_sequences()
    return counts


@contextmanager
def _one_moment() -> Iterator[None]:
    """A transaction that sees one snapshot of the database. On SQLite each transaction does."""
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost and connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield


def _lines(now: dt.datetime, counts: Counter[str]) -> Iterator[bytes]:
    yield _line({"format": FORMAT, "version": VERSION, "made_at": now, "migrations": _migrations()})
    for model in _models():
        table = model._meta.label_lower
        for row in model._default_manager.order_by("pk").iterator(chunk_size=_CHUNK):
            counts[table] += 1
            yield _line({"table": table, "row": _values(row)})


def _models() -> list[type[models.Model]]:
    found = [model for label in _APPS if apps.is_installed(label) or label == "auth"
             for model in apps.get_app_config(label).get_models()]  # fmt: skip
    return [model for model in found if model._meta.label_lower not in _LEFT_OUT]


def _model(table: str) -> type[models.Model]:
    found = {model._meta.label_lower: model for model in _models()}.get(table)
    if found is None:
        raise _refused(f"it holds a table {table!r} that is unknown here")
    return found


def _migrations() -> dict[str, str]:
    """The newest migration of each app. Installations with equal ones have equal tables."""
    applied = MigrationRecorder(connection).applied_migrations()
    return {app: max(name for label, name in applied if label == app) for app, _ in sorted(applied)}


def _values(row: models.Model) -> dict[str, Any]:
    """A row's columns by name. Groups and permissions are referred to by name, as ids differ between databases."""
    if isinstance(row, Group):
        return {"name": row.name, "permissions": _names(row.permissions)}
    values = {field.attname: field.value_from_object(row) for field in row._meta.concrete_fields}
    if isinstance(row, User):
        values["groups"] = sorted(row.groups.values_list("name", flat=True))
        values["permissions"] = _names(row.user_permissions)
    return values


def _names(permissions: Any) -> list[str]:
    found = permissions.values_list("content_type__app_label", "codename")
    return sorted(f"{app}.{codename}" for app, codename in found)


def _line(value: object) -> bytes:
    return json.dumps(value, default=_as_text, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _as_text(value: object) -> str:
    """A value that JSON has no type for, as text that the field's to_python reads."""
    if isinstance(value, dt.date):  # or a datetime, its subclass
        return value.isoformat()
    if isinstance(value, Decimal | UUID):
        return str(value)
    raise TypeError(f"cannot export {type(value).__name__}")


def _checked_rows(file: IO[bytes]) -> Iterator[dict[str, Any]]:
    """The rows of the file; the last line must confirm their number and digest."""
    digest, number, last = hashlib.sha256(), -1, b""
    try:
        with gzip.GzipFile(fileobj=file) as lines:
            for line in lines:
                if last:
                    yield json.loads(last)
                    digest.update(last)
                    number += 1
                last = line
            end = json.loads(last)
    except (OSError, EOFError, ValueError) as error:
        raise _refused("it is not an export, or was cut short") from error
    if not isinstance(end, dict) or end.get("rows") != number or end.get("sha256") != digest.hexdigest():
        raise _refused("it was cut short or changed: its rows do not match its last line")


def _refused(why: str) -> InvalidError:
    return InvalidError([Issue("file", "not_importable", f"The file cannot be imported: {why}.")])


def _refuse_other_schema(header: dict[str, Any]) -> None:
    if header.get("format") != FORMAT or header.get("version") != VERSION:
        raise _refused("it is not an export of an installation, or it has another version of the format")
    here, there = _migrations(), header.get("migrations", {})
    differing = sorted(app for app in here.keys() | there.keys() if here.get(app) != there.get(app))
    if differing:
        raise _refused(
            f"the tables of {', '.join(differing)} are at {[there.get(app) for app in differing]} there and at "
            f"{[here.get(app) for app in differing]} here; bring both to the same version first"
        )


def _refuse_occupied() -> None:
    occupied = [
        model._meta.label_lower
        for model in _models()
        if model is not Group and model._default_manager.exists()  # Migrations make the groups of the roles.
    ]
    if occupied:
        raise ConflictError(
            f"An import needs an empty installation; here there is something in {', '.join(occupied)}."
        )


def _insert(model: type[models.Model], rows: Iterable[dict[str, Any]]) -> int:
    number, waiting = 0, iter(rows)
    while chunk := list(islice(waiting, _CHUNK)):
        if model is Group:
            _restore_groups(chunk)
        else:
            objects = model._default_manager.bulk_create([_object(model, row) for row in chunk])
            _restore_moments(model, objects, chunk)
            _restore_memberships(objects, chunk)
        number += len(chunk)
    return number


def _object(model: type[models.Model], row: dict[str, Any]) -> Any:
    try:
        return model(**{f.attname: f.to_python(row[f.attname]) for f in model._meta.concrete_fields})
    except (KeyError, ValueError, TypeError, ValidationError) as error:
        raise _refused(f"a row of {model._meta.label_lower} is damaged: {error}") from error


def _restore_moments(
    model: type[models.Model], objects: Sequence[Any], rows: Sequence[dict[str, Any]]
) -> None:
    """Write back the moments that Django replaced by the present one at the insert."""
    own = [
        f
        for f in model._meta.concrete_fields
        if getattr(f, "auto_now", False) or getattr(f, "auto_now_add", False)
    ]
    if own:
        for restored, row in zip(objects, rows, strict=True):
            for field in own:
                setattr(restored, field.attname, field.to_python(row[field.attname]))
        model._default_manager.bulk_update(objects, [field.name for field in own])


def _restore_groups(rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        group, _ = Group.objects.get_or_create(name=row["name"])
        group.permissions.set(_permissions(row["permissions"]))


def _restore_memberships(objects: Sequence[Any], rows: Sequence[dict[str, Any]]) -> None:
    for user, row in zip(objects, rows, strict=True):
        if isinstance(user, User):
            user.groups.set(Group.objects.filter(name__in=row["groups"]))
            user.user_permissions.set(_permissions(row["permissions"]))


def _permissions(names: Sequence[str]) -> list[Permission]:
    found = Permission.objects.filter(codename__in=[name.split(".", 1)[1] for name in names])
    return [
        p for p in found.select_related("content_type") if f"{p.content_type.app_label}.{p.codename}" in names
    ]


def _raise_sequences() -> None:
    """Move PostgreSQL's id sequences past the imported ids."""
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), _models()):
            cursor.execute(statement)
