"""One thread of a worker makes an answer that several ask for, and the others wait for it."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.cache import caches
from django.db import connection
from rest_framework.test import APIClient

from allocation.api import kept
from allocation.api.classic import views as classic
from experiments.api.classic import views as lists
from experiments.database.locks import Turns
from tests.factory import allocate, make_running

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("today")]

THREADS = 4
# A part of a statement that only making the answer sends.
CASES: dict[str, tuple[Turns, str, str]] = {
    "allocation of v1": (kept._turns, "/api/v1/experiments/button-colour/allocation/", "allocationshare"),
    "assignment": (kept._turns, "/api/v1/experiments/button-colour/assignment/?unit=u", "allocationshare"),
    "list page": (lists._turns, "/experiments", "dailymetric"),
    "allocation": (classic._turns, "/allocation?experiment_id={}", "dailymetric"),
}


@pytest.mark.parametrize("case", CASES)
def test_answer__asked_by_several_threads_on_a_cold_cache__is_made_by_one(case: str) -> None:
    turns, path, part = CASES[case]
    experiment = make_running()
    allocate(experiment)
    for cache in caches.all(initialized_only=True):
        cache.clear()
    makers: set[int] = set()
    begun, go_on = threading.Event(), threading.Event()

    def watch(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if part in sql and threading.get_ident() not in makers:
            makers.add(threading.get_ident())
            begun.set()
            assert go_on.wait(60)
        return execute(sql, *rest)

    def ask() -> bytes:
        try:
            with connection.execute_wrapper(watch):
                return bytes(APIClient().get(path.format(experiment.pk)).content)
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        first = pool.submit(ask)
        assert begun.wait(60)
        others = [pool.submit(ask) for _ in range(THREADS - 1)]
        while sum(turns._wanting.values()) < THREADS and not any(other.done() for other in others):
            time.sleep(0.005)
        go_on.set()

    assert len(makers) == 1
    assert {other.result() for other in others} == {first.result()}
