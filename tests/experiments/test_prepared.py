"""Statements without a cursor: PostgreSQL's answers, refusals and transactions are those of any other statement."""

import gc
import weakref

import pytest
from django.db import (
    DataError,
    IntegrityError,
    NotSupportedError,
    OperationalError,
    connection,
    connections,
    transaction,
)
from django.test.utils import CaptureQueriesContext

from bandit_project.ops.metrics.counters import QUERY_ERRORS, QUERY_SECONDS
from experiments.database.prepared import Prepared
from experiments.database.rows import rows_of
from experiments.ingestion.upsert import _texts
from experiments.models import Experiment
from tests.factory import make_experiment

# Not within the transaction of a test: there a cursor runs them.
pytestmark = pytest.mark.django_db(transaction=True)

_ALL = "SELECT id, name, created_at, value_cap, archived_at FROM experiments_experiment WHERE id = %s"
_RENAME = Prepared("UPDATE experiments_experiment SET name = %s WHERE id >= %s")


def _statements() -> float:
    return sum(
        sample.value
        for metric in QUERY_SECONDS.collect()
        for sample in metric.samples
        if sample.name.endswith("_count")
    )


def test_rows__of_every_type__are_those_of_a_cursor() -> None:
    experiment = make_experiment(name='Größe "1" \\ 2')
    select = Prepared(_ALL)

    found = [select.rows([experiment.pk]) for _ in range(3)]

    assert found == [rows_of(_ALL, [experiment.pk])] * 3
    assert select.rows([experiment.pk + 1]) == []


def test_change__of_several_rows__says_how_many() -> None:
    first = make_experiment(key="a")
    make_experiment(key="b")

    assert _RENAME.change(['O\'Brien "x"', first.pk]) == 2
    assert _RENAME.change(["nobody", first.pk + 10**6]) == 0
    assert set(Experiment.objects.values_list("name", flat=True)) == {'O\'Brien "x"'}


def test_change__within_a_transaction_that_ends_badly__is_undone() -> None:
    experiment = make_experiment(name="before")
    with transaction.atomic():
        _RENAME.change(["after", experiment.pk])
        transaction.set_rollback(True)

    assert Experiment.objects.get().name == "before"


def test_refusal__of_the_database__is_djangos_error_and_the_connection_goes_on(on_postgresql: None) -> None:
    make_experiment(key="a")
    make_experiment(key="b")
    before = QUERY_ERRORS.labels("IntegrityError")._value.get()
    to_one_key = Prepared("UPDATE experiments_experiment SET key = %s::text")

    for _ in range(2):
        with pytest.raises(IntegrityError):
            to_one_key.change(["c"])

    assert QUERY_ERRORS.labels("IntegrityError")._value.get() == before + 2
    assert Prepared("SELECT count(*) FROM experiments_experiment").rows([]) == [(2,)]


def test_refusal__of_the_statement_itself__is_djangos_error(on_postgresql: None) -> None:
    grouped = Prepared("SELECT count(*) FROM experiments_experiment GROUP BY status FOR UPDATE")

    with pytest.raises(NotSupportedError):
        grouped.rows([])


def test_text__with_a_zero_byte__is_refused_and_not_cut(on_postgresql: None) -> None:
    experiment = make_experiment(name="before")

    with pytest.raises(DataError):
        _RENAME.change(["af\x00ter", experiment.pk])

    assert Experiment.objects.get().name == "before"


@pytest.mark.parametrize(
    "happening",
    ["DEALLOCATE ALL", "DISCARD ALL", "ALTER TABLE made_for_this ALTER COLUMN n TYPE text"],
)
def test_statement__dropped_or_of_another_type__is_prepared_again(
    on_postgresql: None, happening: str
) -> None:
    select = Prepared("SELECT n FROM made_for_this WHERE n IS NOT NULL")
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE IF NOT EXISTS made_for_this AS SELECT 1 AS n")
        before = select.rows([])
        cursor.execute(happening)
        if happening == "DISCARD ALL":  # temporary tables, too
            cursor.execute("CREATE TEMPORARY TABLE made_for_this AS SELECT 1 AS n")
    try:
        assert [before, [tuple(map(int, row)) for row in select.rows([])]] == [[(1,)], [(1,)]]
    finally:
        connection.close()


def test_connection__lost__is_a_refusal_and_the_next_one_is_prepared_for(on_postgresql: None) -> None:
    select = Prepared("SELECT pg_backend_pid()")
    ((server,),) = select.rows([])
    other = connections.create_connection("default")
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [server])
    other.close()

    with pytest.raises(OperationalError):
        select.rows([])
    connection.close_if_unusable_or_obsolete()

    assert select.rows([]) != [(server,)]


def test_statements__are_timed_and_can_be_captured() -> None:
    select = Prepared("SELECT 1")
    before = _statements()

    select.rows([])
    timed = _statements() - before
    with CaptureQueriesContext(connection) as captured:
        select.rows([])

    assert timed == 1
    assert [query["sql"] for query in captured.captured_queries] == ["SELECT 1"]


@pytest.mark.parametrize("names", [["plain"], ['a "b"', "c\\", "", 'null,{"}'], ["\\", '"'], ['x","y']])
def test_texts__odd_ones__arrive_as_they_are(on_postgresql: None, names: list[str]) -> None:
    assert Prepared("SELECT %s::text[]").rows([_texts(names)]) == [(names,)]


def test_connection__that_was_closed__is_freed_with_what_it_prepared(on_postgresql: None) -> None:
    """Each thread that serves makes a connection a minute: remembered, they would fill the memory."""
    select, closed = Prepared("SELECT CAST(%s AS integer)"), []
    for number in range(3):
        assert select.rows([number]) == [(number,)]
        closed.append(weakref.ref(connection.connection))
        connection.close()

    gc.collect()

    assert [one() for one in closed] == [None] * 3
