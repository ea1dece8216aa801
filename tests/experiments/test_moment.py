"""Reads as of one moment, while another connection writes."""

import threading
from collections.abc import Callable

import pytest
from django.db import connection, transaction
from django.db.utils import InternalError

from experiments.database.moment import one_moment
from experiments.models import Experiment, Variant
from tests.factory import make_running

pytestmark = pytest.mark.django_db(transaction=True)


def _elsewhere(act: Callable[[], object]) -> None:
    """Do it over a connection of its own, and wait for it."""

    def run() -> None:
        try:
            act()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def test_one_moment__deleted_by_another_meanwhile__is_still_there_until_the_end() -> None:
    experiment = make_running()

    with one_moment():
        before = Experiment.objects.count()
        _elsewhere(experiment.delete)
        within = Experiment.objects.count(), Variant.objects.count()

    assert (before, within) == (1, (1, 2))
    assert Experiment.objects.count() == 0


def test_one_moment__while_it_lasts__nobody_waits_to_write() -> None:
    with one_moment():
        assert Experiment.objects.count() == 0
        _elsewhere(make_running)

    assert Experiment.objects.count() == 1


def test_one_moment__over__transactions_write_as_before() -> None:
    with one_moment():
        Experiment.objects.count()

    with transaction.atomic():
        make_running()

    assert Experiment.objects.count() == 1


@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_one_moment__write_within__is_refused_by_postgresql() -> None:
    experiment = make_running()

    with pytest.raises(InternalError, match="read-only"), one_moment():
        Experiment.objects.filter(pk=experiment.pk).update(name="Another")
