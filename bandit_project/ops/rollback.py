"""Take back the migrations that a database got since a list of them was written.

The list is what ``showmigrations --plan`` prints. The version that knows the newer migrations must take them back; the
older version is started afterwards.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from experiments.exceptions import ConflictError, InvalidError, Issue

Name = tuple[str, str]
_LINE = re.compile(r"\[(X| )\]\s+(\w+)\.(\w+)")


@dataclass(frozen=True)
class Rollback:
    """Migrations to take back, the newest first, and the one that each of their apps goes back to (None: to none)."""

    taken_back: tuple[Name, ...]
    targets: tuple[tuple[str, str | None], ...]


def read_plan(lines: Iterable[str]) -> frozenset[Name]:
    """Return the migrations that the list calls applied. Raises InvalidError where it is no such list."""
    found = [match.groups() for line in lines if (match := _LINE.match(line.strip()))]
    applied = frozenset((app, name) for mark, app, name in found if mark == "X")
    if not applied:
        detail = (
            "The file must hold what showmigrations --plan prints, with lines such as [X]  auth.0001_initial."
        )
        raise InvalidError([Issue("file", "invalid", detail)])
    return applied


def plan_rollback(before: frozenset[Name]) -> Rollback:
    """Compute what to take back. Raises ConflictError, with nothing changed, where that is not possible."""
    loader = MigrationLoader(connection)
    present = set(loader.applied_migrations)
    if unknown := sorted(name for name in present - before if name not in loader.disk_migrations):
        raise ConflictError(
            f"This version does not know {_joined(unknown)}. Run the command with the version that added them."
        )
    forwards = _in_order(loader)
    taken = [name for name in reversed(forwards) if name in present - before]
    if final := [name for name in taken if not _is_reversible(loader, name)]:
        raise ConflictError(f"{_joined(final)} cannot be taken back. Restore the backup instead.")
    apps = dict.fromkeys(app for app, _ in taken)
    kept = [name for name in forwards if name in before & present]
    last = {app: name for app, name in kept if app in apps}
    return Rollback(tuple(taken), tuple((app, last.get(app)) for app in apps))


def roll_back(rollback: Rollback) -> None:
    """Take them back, an app at a time: ``migrate`` also takes back what depends on them."""
    for app, target in rollback.targets:
        call_command("migrate", app, target or "zero", interactive=False)


def _in_order(loader: MigrationLoader) -> list[Name]:
    """Every migration of the code after those that it depends on."""
    order: dict[Name, None] = {}
    for leaf in sorted(loader.graph.leaf_nodes()):
        order |= dict.fromkeys(loader.graph.forwards_plan(leaf))
    return list(order)


def _is_reversible(loader: MigrationLoader, name: Name) -> bool:
    return all(operation.reversible for operation in loader.get_migration(*name).operations)


def _joined(names: Iterable[Name]) -> str:
    return ", ".join(".".join(name) for name in names)
