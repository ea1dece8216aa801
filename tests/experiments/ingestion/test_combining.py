"""Writes of requests that wait at the same moment: in groups, each answered after its own commit."""

import datetime as dt
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from django.db import OperationalError, connection

from experiments.exceptions import InvalidRowsError
from experiments.ingestion.combining import Combiner, Write
from experiments.intake import Intake, IntakeLine
from experiments.models import DailyMetric, Experiment
from tests.factory import NOW, TODAY, counts, make_running, record

LINE = IntakeLine(TODAY, "API key one", "api")


def _write(experiment_id: int, line: IntakeLine | None = LINE) -> Write:
    return Write([(experiment_id, counts("control", 10, 1))], [experiment_id], NOW, line)


class _Database:
    """Takes groups once the first one, which it holds, may go on; refuses those that hold an experiment it does not
    know."""

    def __init__(self, unknown: Sequence[int] = (), away: Sequence[int] = ()) -> None:
        self.groups: list[list[int]] = []
        self.unknown, self.away = {*unknown}, {*away}
        self.has_begun, self.may_go_on = threading.Event(), threading.Event()

    def act(self, writes: Sequence[Write]) -> bool:
        ids = [pk for write in writes for pk in write.experiment_ids]
        if not self.has_begun.is_set():
            self.has_begun.set()
            assert self.may_go_on.wait(10)
        self.groups.append(ids)
        if self.away & {*ids}:
            raise OperationalError("gone")
        return not self.unknown & {*ids}


def _all_at_once(database: _Database, writes: Sequence[Write]) -> list["Future[bool]"]:
    """Have the first one held while the others come, in their order."""
    combiner = Combiner(database.act)
    with ThreadPoolExecutor(len(writes)) as pool:
        futures = [pool.submit(combiner.write, writes[0])]
        assert database.has_begun.wait(10)
        for number, write in enumerate(writes[1:], start=1):
            futures.append(pool.submit(combiner.write, write))
            while len(combiner._queue) < number:
                threading.Event().wait(0.001)
        database.may_go_on.set()
    assert (combiner._queue, combiner._is_led) == ([], False)
    return futures


@pytest.mark.database_free
def test_combiner__several_wait__are_written_together_after_the_first() -> None:
    database = _Database()

    found = _all_at_once(database, [_write(pk) for pk in (1, 2, 3, 4)])

    assert [one.result() for one in found] == [True] * 4
    assert database.groups == [[1], [2, 3, 4]]


@pytest.mark.database_free
def test_combiner__one_experiment_twice_or_another_caller__waits_for_the_next_group() -> None:
    database, other = _Database(), LINE._replace(actor="API key two")

    found = _all_at_once(database, [_write(1), _write(2), _write(2), _write(3, other), _write(4)])

    assert [one.result() for one in found] == [True] * 5
    assert database.groups == [[1], [2, 4], [2], [3]]


@pytest.mark.database_free
def test_combiner__group_with_a_refused_one__is_taken_apart() -> None:
    database = _Database(unknown=[3])

    found = _all_at_once(database, [_write(pk) for pk in (1, 2, 3, 4)])

    assert [one.result() for one in found] == [True, True, False, True]
    assert database.groups[:2] == [[1], [2, 3, 4]]
    assert sorted(database.groups[2:]) == [[2], [3], [4]]


@pytest.mark.database_free
def test_combiner__database_goes_away__answers_none_of_the_group_as_written() -> None:
    database = _Database(away=[3])

    found = _all_at_once(database, [_write(pk) for pk in (1, 2, 3)])

    assert found[0].result() is True
    assert [type(one.exception()) for one in found[1:]] == [OperationalError, OperationalError]


@pytest.mark.django_db(transaction=True)
def test_record__many_threads_at_once__each_total_and_each_call_counts_once() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite writes one after another")
    experiments = [make_running(f"Experiment {n}") for n in range(4)]
    Experiment.objects.filter(pk=experiments[3].pk).update(status="completed")
    Intake.objects.all().delete()

    def act(number: int) -> None:
        try:
            day = TODAY - dt.timedelta(days=number // 4)
            record(experiments[number % 4], counts("control", 100 + number, number, date=day))
        finally:
            connection.close()

    failed = _failures([lambda n=n: act(n) for n in range(40)])  # type: ignore[misc]

    assert failed == 10
    assert {line.experiment_id: (line.row_count, line.calls) for line in Intake.objects.all()} == {
        experiment.pk: (10, 10) for experiment in experiments[:3]
    }
    written = DailyMetric.objects.filter(variant__experiment__in=experiments[:3], variant__name="control")
    assert sorted(written.values_list("impressions", flat=True)) == [100 + n for n in range(40) if n % 4 < 3]


def _failures(calls: Sequence[Callable[[], None]]) -> int:
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(call) for call in calls]
    return sum(one.exception() is not None for one in futures)


@pytest.mark.django_db
def test_record__bad_row__is_refused_before_it_waits_for_anybody() -> None:
    with pytest.raises(InvalidRowsError):
        record(make_running(), counts("control", 1, 2))
