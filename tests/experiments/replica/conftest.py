"""A second database that has other content: it shows which of the two was read."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from pytest_django import DjangoDbBlocker

from experiments.database import replica as replicas
from experiments.models import Experiment
from experiments.roles import Role
from tests.experiments.replica.renamed import REPLICA
from tests.factory import allocate, make_running


def _copied() -> str:
    """Copy the database and return the copy's name."""
    name = str(connection.settings_dict["NAME"])
    copy = f"{name}-replica"
    connection.close()
    if connection.vendor == "sqlite":
        # Not its file alone: while another connection is open, the newest rows are in the log beside it.
        with closing(sqlite3.connect(name)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        return copy
    with connection._nodb_cursor() as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{copy}"')
        cursor.execute(f'CREATE DATABASE "{copy}" TEMPLATE "{name}"')
    return copy


def _drop(copy: str) -> None:
    if connection.vendor == "sqlite":
        for suffix in ("", "-wal", "-shm"):
            Path(copy + suffix).unlink(missing_ok=True)
        return
    with connection._nodb_cursor() as cursor:
        cursor.execute(f'DROP DATABASE "{copy}"')


@pytest.fixture
def experiment() -> Experiment:
    made = make_running("As it was")
    allocate(made)
    return made


@pytest.fixture(scope="module")
def copies(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[list[str]]:
    """The one copy that all tests read, once it is made: each of them begins with the rows it has."""
    made: list[str] = []
    yield made
    with django_db_blocker.unblock():
        for copy in made:
            _drop(copy)


@pytest.fixture
def replica(experiment: Experiment, settings: Any, copies: list[str]) -> Iterator[None]:
    """A copy that follows no more: in the primary the experiment has been renamed since."""
    if not copies:
        copies.append(_copied())
    (copy,) = copies
    connections[REPLICA] = connection.copy(REPLICA)
    connections[REPLICA].settings_dict["NAME"] = copy
    settings.DATABASE_REPLICAS = [REPLICA]
    settings.DATABASE_ROUTERS = ["experiments.database.replica.Router"]
    replicas.forget()
    Experiment.objects.filter(pk=experiment.pk).update(name="As it is")
    yield
    connections[REPLICA].close()
    del connections[REPLICA]


@pytest.fixture
def visitor(settings: Any) -> None:
    """Let a visitor do everything without a login, and programs without a key."""
    settings.DASHBOARD_LOGIN_REQUIRED, settings.DASHBOARD_VISITOR_ROLE = False, Role.ADMIN
    settings.API_KEY_REQUIRED = False
