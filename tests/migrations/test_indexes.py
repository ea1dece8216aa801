"""Indexes of the tables that grow with each day."""

from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection


@pytest.mark.django_db
@pytest.mark.parametrize(
    "table", ["experiments_dailymetric", "allocation_allocation", "allocation_allocationshare"]
)
def test_indexes__of_a_large_table__none_is_the_beginning_of_another(table: str) -> None:
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, table).values()
    indexes = [tuple(one["columns"]) for one in found if one["index"] or one["unique"] or one["primary_key"]]

    redundant = [
        index for index in indexes for other in indexes if index != other and other[: len(index)] == index
    ]

    assert len(indexes) >= 2
    assert redundant == []
    assert len(set(indexes)) == len(indexes)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_key_of_shares__after_attempts_that_broke_off__is_made_whole() -> None:
    migration = import_module("allocation.migrations.0014_key_of_shares")
    table = "allocation_allocationshare"
    with connection.schema_editor(atomic=False) as editor:
        before = _keys(table)
        migration.use_id(apps, editor)
        back = _keys(table)
        editor.execute(f"CREATE INDEX allocationshare_new_key ON {table} (id)")
        for _ in range(2):  # before and after it was noted as done
            migration.use_natural_key(apps, editor)

    assert back == {"allocation_allocationshare_pkey": ["id"]}
    assert _keys(table) == before == {"allocationshare_variant_unique": ["allocation_id", "variant_id"]}
    with connection.cursor() as cursor:
        assert "allocationshare_new_key" not in connection.introspection.get_constraints(cursor, table)


def _keys(table: str) -> dict[str, list[str]]:
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, table)
    return {name: one["columns"] for name, one in found.items() if one["primary_key"]}
