"""Many clients write at the same time, over real connections to a file or a server."""

import datetime as dt
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction
from rest_framework.test import APIClient

from allocation.models import Allocation, AllocationShare
from allocation.sweep import run_daily_sweep
from bandit_project.models import ApiKey
from experiments.models import DailyMetric, Experiment, Status, Variant
from experiments.services import reset_data
from experiments.tables.importing.importer import import_table
from tests.factory import NOW, TODAY, allocate, make_experiment, make_running, make_table

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("today")]

CLIENTS = 16


def _at_once(call: Callable[[int], Any]) -> list[Any]:
    """Start ``call`` for each client at the same time; their answers."""

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(lambda client: _and_close(lambda: call(client)), range(CLIENTS)))


def _and_close(call: Callable[[], Any]) -> Any:
    try:
        return call()
    finally:
        connection.close()


def _post(experiment: Experiment, client: int) -> int:
    variants = [
        {"variant_name": name, "impressions": 1000 + client, "clicks": client}
        for name in ("control", "b", "c")
    ]
    if client % 2:
        variants.reverse()  # the order of rows must not matter to the locks
    body = {"experiment_id": experiment.pk, "date": TODAY.isoformat(), "variants": variants}
    return APIClient().post("/events", body).status_code


def test_events__sixteen_clients_post_the_same_day__one_row_per_variant_and_no_error() -> None:
    experiment = make_experiment()

    answers = _at_once(lambda client: _post(experiment, client))

    assert answers == [200] * CLIENTS
    rows = DailyMetric.objects.filter(variant__experiment=experiment)
    assert rows.count() == Variant.objects.filter(experiment=experiment).count() == 3
    # one client's three rows, not a mixture
    assert len(set(rows.values_list("impressions", "clicks"))) == 1
    experiment.refresh_from_db()
    assert experiment.data_version == CLIENTS
    assert Variant.objects.filter(experiment=experiment, is_control=True).count() == 1


def test_patch__sixteen_clients_with_the_version_they_read__one_wins_and_no_change_is_lost() -> None:
    url = f"/api/v1/experiments/{make_experiment().key}/"
    etag = APIClient().get(url)["ETag"]

    def patch(client: int) -> int:
        headers = {"If-Match": etag}
        return APIClient().patch(url, {"owner": f"team {client}"}, format="json", headers=headers).status_code

    answers = _at_once(patch)

    assert sorted(answers) == [200] + [412] * (CLIENTS - 1)
    assert Experiment.objects.get().owner == f"team {answers.index(200)}"


def test_batches__sixteen_clients_in_opposite_orders__all_or_nothing_and_no_deadlock() -> None:
    experiments = [make_running(f"E{n}") for n in range(4)]

    def post(client: int) -> int:
        ordered = experiments if client % 2 else experiments[::-1]
        rows = [
            {
                "experiment_id": e.pk,
                "date": TODAY.isoformat(),
                "variant_name": v,
                "impressions": 9,
                "clicks": 1,
            }
            for e in ordered
            for v in ("control", "variant_b")
        ]
        return APIClient().post("/api/v1/events/", {"rows": rows}).status_code

    assert _at_once(post) == [200] * CLIENTS
    assert set(DailyMetric.objects.values_list("impressions", flat=True)) == {9}
    assert set(Experiment.objects.values_list("data_version", flat=True)) == {1 + CLIENTS}


def _post_and_note(experiment: Experiment, client: int, reached: threading.Event) -> int:
    """Post, and set ``reached`` when the statement comes that waits on SQLite: the begin of the transaction."""

    def note(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if sql.startswith("BEGIN"):
            reached.set()
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        return _post(experiment, client)


def _wait_until_blocked(reached: threading.Event) -> None:
    """Wait for a client that wants a lock. PostgreSQL lists those; on SQLite the client sets ``reached``."""
    if connection.vendor != "postgresql":
        assert reached.wait(30)
        return
    deadline = time.monotonic() + 30
    with connection.cursor() as cursor:
        while time.monotonic() < deadline:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
    raise AssertionError("no client waits for a lock")


def test_events__completed_while_they_wait__are_refused() -> None:
    """A write that has waited for the experiment's lock looks at its status again."""
    experiment, reached = make_experiment(), threading.Event()
    _post(experiment, 0)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Experiment.objects.select_for_update().get(pk=experiment.pk)
            answer = pool.submit(lambda: _and_close(lambda: _post_and_note(experiment, 7, reached)))
            _wait_until_blocked(reached)
            Experiment.objects.update(status=Status.COMPLETED)
        assert answer.result(timeout=30) == 409

    assert set(DailyMetric.objects.values_list("impressions", flat=True)) == {1000}


def test_compute_allocation__sixteen_at_once__make_one_revision() -> None:
    experiment = make_running()

    revisions = _at_once(lambda client: allocate(experiment).revision)

    assert revisions == [1] * CLIENTS
    assert Allocation.objects.count() == 1
    assert AllocationShare.objects.count() == 2


def test_create_experiment__sixteen_of_one_name__get_sixteen_keys() -> None:
    keys = _at_once(lambda client: make_experiment("Same name").key)

    assert len(set(keys)) == CLIENTS


def test_events_and_allocations__at_once__every_revision_has_its_own_inputs() -> None:
    experiment = make_running()

    def post_or_allocate(client: int) -> int:
        if client % 2:
            return allocate(experiment, TODAY + dt.timedelta(days=client % 3)).revision
        return _post(experiment, client)

    _at_once(post_or_allocate)

    for date in set(Allocation.objects.values_list("target_date", flat=True)):
        revisions = Allocation.objects.filter(target_date=date).order_by("revision")
        assert list(revisions.values_list("revision", flat=True)) == list(range(1, revisions.count() + 1))
        digests = list(revisions.values_list("inputs_digest", flat=True))
        assert all(a != b for a, b in itertools.pairwise(digests))


def _csv(experiments: Sequence[Experiment], rows: int) -> str:
    lines = ["experiment_id,date,variant_name,impressions,clicks"]
    for experiment in experiments:
        days = (TODAY - dt.timedelta(days=n) for n in range(rows))
        lines += [f"{experiment.pk},{day.isoformat()},control,10,1" for day in days]
    return "\n".join(lines)


def test_imports__opposite_orders_beside_allocations__wait_for_each_other_and_never_deadlock() -> None:
    experiments = [make_running(f"E{n}") for n in range(3)]

    def import_or_allocate(client: int) -> int:
        if client % 4 == 0:
            return run_daily_sweep(target_date=TODAY, now=NOW).failed
        ordered = experiments if client % 2 else experiments[::-1]
        text = _csv(ordered, 200)
        return import_table(make_table(text), today=TODAY, now=NOW).total_issues

    assert _at_once(import_or_allocate) == [0] * CLIENTS
    assert DailyMetric.objects.filter(impressions=10).count() == 600


def test_reset__beside_posts__neither_fails() -> None:
    experiments = [make_running(f"E{n}") for n in range(4)]

    def post_or_reset(client: int) -> int:
        if client == 7:
            reset_data(allowed=True)
            return 200
        return _post(experiments[client % 4], client)

    assert set(_at_once(post_or_reset)) <= {200, 404}
    assert not Experiment.objects.filter(pk__in=[e.pk for e in experiments]).exists()


def test_idempotency_key__sixteen_at_once__the_write_happens_once() -> None:
    experiment = make_running()
    rows = [
        {
            "experiment_id": experiment.pk,
            "date": TODAY.isoformat(),
            "variant_name": "c",
            "impressions": 5,
            "clicks": 1,
        }
    ]

    def add(client: int) -> int:
        headers = {"Idempotency-Key": "the-same"}
        for _ in range(100):
            response = APIClient().post("/api/v1/events/", {"mode": "add", "rows": rows}, headers=headers)
            if response.status_code != 409:
                return response.status_code
            time.sleep(0.02)
        return response.status_code

    assert _at_once(add) == [200] * CLIENTS
    assert DailyMetric.objects.get(variant__name="c").impressions == 5


def test_idempotency_key__sixteen_callers_with_the_same_one__never_meet() -> None:
    experiment = make_running()
    keys = [ApiKey.objects.create_key(name=str(n), scope="write")[1] for n in range(CLIENTS)]

    def post(client: int) -> int:
        headers = {"Idempotency-Key": "1", "Authorization": f"Api-Key {keys[client]}"}
        return (
            APIClient().post(f"/api/v1/experiments/{experiment.key}/duplicate/", headers=headers).status_code
        )

    assert _at_once(post) == [201] * CLIENTS
