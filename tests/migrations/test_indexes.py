"""Indexes of the tables that grow with each day."""

import pytest
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
