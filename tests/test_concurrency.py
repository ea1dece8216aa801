"""Many clients at once, over real connections: on SQLite a file, on PostgreSQL a server."""

import datetime as dt
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from allocation.models import Allocation, AllocationShare
from experiments.models import DailyMetric, Experiment, Variant
from tests.factory import TODAY, allocate, make_experiment, make_running

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("today")]

CLIENTS = 16


def _at_once(call: Callable[[int], Any]) -> list[Any]:
    """What ``call`` answers for each client, all started together."""

    def run(client: int) -> Any:
        try:
            return call(client)
        finally:
            connection.close()

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(run, range(CLIENTS)))


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
