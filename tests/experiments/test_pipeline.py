"""Statements that are sent at once: their answers, refusals and locks are those of statements one by one."""

import threading

import pytest
from django.db import DataError, IntegrityError, OperationalError, connection, connections, transaction
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext

from bandit_project.ops.metrics.counters import QUERY_ERRORS
from experiments.database.pipeline import rows_of_each
from experiments.database.prepared import Prepared
from experiments.models import Experiment
from tests.factory import make_experiment

pytestmark = pytest.mark.django_db(transaction=True)

_NAME = Prepared("SELECT name FROM experiments_experiment WHERE id = %s")
_COUNT = Prepared("SELECT count(*) FROM experiments_experiment")
_RENAME = Prepared("UPDATE experiments_experiment SET name = %s WHERE id = %s RETURNING id")
_TO_KEY = Prepared("UPDATE experiments_experiment SET key = %s WHERE id = %s RETURNING id")


def test_rows_of_each__of_several__are_in_their_order_and_see_those_before() -> None:
    pk = make_experiment(name="before").pk

    with transaction.atomic():
        found = rows_of_each([(_NAME, [pk]), (_RENAME, ["after", pk]), (_NAME, [pk]), (_NAME, [pk + 1])])
        later = rows_of_each([(_COUNT, [])])

    assert found == [[("before",)], [(pk,)], [("after",)], []]
    assert later == [[(1,)]]
    assert Experiment.objects.get().name == "after"


def test_rows_of_each__within_a_transaction_that_ends_badly__is_undone() -> None:
    pk = make_experiment(name="before").pk
    with transaction.atomic():
        rows_of_each([(_RENAME, ["after", pk])])
        transaction.set_rollback(True)

    assert Experiment.objects.get().name == "before"


def test_rows_of_each__beside_cursors_and_savepoints__are_of_one_transaction() -> None:
    pk = make_experiment(name="before").pk
    with transaction.atomic():
        Experiment.objects.filter(pk=pk).update(name="by a cursor")
        with transaction.atomic():
            inside = rows_of_each([(_NAME, [pk]), (_RENAME, ["undone", pk])])
            transaction.set_rollback(True)
        after = rows_of_each([(_NAME, [pk])])

    assert inside[0] == after[0] == [("by a cursor",)]


def test_refusal__of_one__undoes_those_before_it_and_the_connection_goes_on(on_postgresql: None) -> None:
    pk = make_experiment(key="a", name="before").pk
    make_experiment(key="b")
    before = QUERY_ERRORS.labels("IntegrityError")._value.get()

    for _ in range(2):
        with pytest.raises(IntegrityError), transaction.atomic():
            rows_of_each([(_RENAME, ["after", pk]), (_TO_KEY, ["b", pk]), (_COUNT, [])])

    assert QUERY_ERRORS.labels("IntegrityError")._value.get() == before + 2
    with transaction.atomic():
        assert rows_of_each([(_NAME, [pk])]) == [[("before",)]]


def test_refusal__within_a_transaction__lets_nothing_follow(on_postgresql: None) -> None:
    pk = make_experiment(key="a").pk
    make_experiment(key="b")

    with transaction.atomic():
        with pytest.raises(IntegrityError), transaction.atomic():
            rows_of_each([(_TO_KEY, ["b", pk])])
        assert rows_of_each([(_COUNT, [])]) == [[(2,)]]  # a savepoint was between
        with pytest.raises(IntegrityError), transaction.atomic(savepoint=False):
            rows_of_each([(_TO_KEY, ["b", pk])])
        with pytest.raises(TransactionManagementError):
            rows_of_each([(_COUNT, [])])
        transaction.set_rollback(True)


def test_text__with_a_zero_byte__is_refused(on_postgresql: None) -> None:
    pk = make_experiment(name="before").pk
    with pytest.raises(DataError), transaction.atomic():
        rows_of_each([(_RENAME, ["af\x00ter", pk])])

    assert Experiment.objects.get().name == "before"


def test_large_parameters_and_answers__arrive(on_postgresql: None) -> None:
    text = "ä" * 3_000_000
    echo = Prepared("SELECT %s::text")

    with transaction.atomic():
        assert rows_of_each([(echo, [text])] * 3) == [[(text,)]] * 3


@pytest.mark.parametrize(
    "happening", ["DEALLOCATE ALL", "ALTER TABLE made_for_this ALTER COLUMN n TYPE text"]
)
def test_statement__dropped_or_of_another_type__is_prepared_again(
    on_postgresql: None, happening: str
) -> None:
    select = Prepared("SELECT n FROM made_for_this WHERE n IS NOT NULL")
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE IF NOT EXISTS made_for_this AS SELECT 1 AS n")
    try:
        with transaction.atomic():
            before = rows_of_each([(_COUNT, []), (select, [])])
        with connection.cursor() as cursor:
            cursor.execute(happening)
        with transaction.atomic():
            after = rows_of_each([(_COUNT, []), (select, [])])
        assert [before[1], [tuple(map(int, row)) for row in after[1]]] == [[(1,)], [(1,)]]
    finally:
        connection.close()


def test_statement__dropped_within_the_transaction__is_prepared_again_and_nothing_is_lost(
    on_postgresql: None,
) -> None:
    pk = make_experiment(name="before").pk
    with transaction.atomic():
        rows_of_each([(_RENAME, ["after", pk]), (_COUNT, [])])
        with connection.cursor() as cursor:
            cursor.execute("DEALLOCATE ALL")
        assert rows_of_each([(_COUNT, []), (_NAME, [pk])]) == [[(1,)], [("after",)]]

    assert Experiment.objects.get().name == "after"


def test_statement__after_a_savepoint_that_was_rolled_back__is_prepared_again(on_postgresql: None) -> None:
    pk = make_experiment(name="before").pk
    with transaction.atomic():
        rows_of_each([(_RENAME, ["after", pk])])
        with transaction.atomic():
            transaction.set_rollback(True)
        assert Experiment.objects.count() == 1  # psycopg drops statements before the next of a cursor
        assert rows_of_each([(_NAME, [pk])]) == [[("after",)]]


def test_connection__lost__is_a_refusal_and_the_next_one_serves(on_postgresql: None) -> None:
    server = Prepared("SELECT pg_backend_pid()")

    def lose() -> int:
        (((number,),),) = rows_of_each([(server, [])])
        other = connections.create_connection("default")
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [number])
        other.close()
        return int(number)

    with transaction.atomic():
        number = lose()
        with pytest.raises(OperationalError):
            rows_of_each([(server, [])])
        transaction.set_rollback(True)
    connection.close_if_unusable_or_obsolete()

    with transaction.atomic():
        assert rows_of_each([(server, [])]) != [[(number,)]]


def test_lock__of_another__is_waited_for_and_what_follows_sees_what_it_wrote(on_postgresql: None) -> None:
    pk = make_experiment(name="before").pk
    lock = Prepared("SELECT id FROM experiments_experiment WHERE id = %s FOR UPDATE")
    has_locked, found = threading.Event(), []

    def wait_and_read() -> None:
        has_locked.wait(10)
        try:
            with transaction.atomic():
                found.extend(rows_of_each([(lock, [pk]), (_NAME, [pk])]))
        finally:
            connection.close()

    waiting = threading.Thread(target=wait_and_read)
    waiting.start()
    with transaction.atomic():
        rows_of_each([(lock, [pk]), (_RENAME, ["after", pk])])
        has_locked.set()
        waiting.join(0.2)
        assert not found
    waiting.join(10)

    assert found == [[(pk,)], [("after",)]]


def test_statements__are_captured_one_by_one() -> None:
    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        rows_of_each([(_COUNT, []), (_COUNT, [])])

    assert len([query for query in captured.captured_queries if "count" in query["sql"]]) == 2
