"""Reads that may lag, with a second database that has other content: it shows which of the two was read."""

import datetime as dt
import shutil
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import DEFAULT_DB_ALIAS, OperationalError, connection, connections, router, transaction
from django.db.models import F
from django.test import Client
from pytest_django import DjangoDbBlocker
from rest_framework.test import APIClient

from allocation.models import Allocation
from allocation.services import compute_allocations
from bandit_project.api.keys import usable_key
from bandit_project.models import ApiKey, Scope
from experiments.database import replica as replicas
from experiments.database.moment import answer_may_lag, one_moment
from experiments.database.rows import rows_of
from experiments.models import DailyMetric, Experiment, Variant
from experiments.roles import Role
from tests.factory import NOW, TODAY, allocate, make_running

# Each test makes rows of the numbers that the copy has.
pytestmark = pytest.mark.django_db(transaction=True, reset_sequences=True)

REPLICA = "replica-1"
NAMES = "SELECT name FROM experiments_experiment"


def _copied() -> str:
    """Copy the database, which nobody else has open, and return the copy's name."""
    name = str(connection.settings_dict["NAME"])
    copy = f"{name}-replica"
    connection.close()
    if connection.vendor == "sqlite":
        shutil.copy(name, copy)
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


def _names() -> list[object]:
    return [*Experiment.objects.values_list("name", flat=True), rows_of(NAMES, ())[0][0]]


WAS, IS = ["As it was"] * 2, ["As it is"] * 2


def test_reads__without_a_replica__go_to_the_one_database(experiment: Experiment) -> None:
    with one_moment(may_lag=True):
        assert _names() == WAS


def test_reads__of_a_block_that_may_lag__go_to_the_replica(replica: None) -> None:
    with one_moment(may_lag=True):
        within = _names()

    assert within == WAS
    assert _names() == IS


def test_reads__of_any_other_block__go_to_the_primary(replica: None) -> None:
    with one_moment():
        assert _names() == IS


def test_reads__one_moment_within_another__stay_where_the_outer_one_is(replica: None) -> None:
    with one_moment(may_lag=True), one_moment():
        assert _names() == WAS
    with one_moment(), one_moment(may_lag=True):
        assert _names() == IS


def test_reads__in_a_transaction__go_to_the_primary(replica: None) -> None:
    with transaction.atomic(), one_moment(may_lag=True):
        assert _names() == IS
    with one_moment(may_lag=True), transaction.atomic():
        assert _names() == IS


def test_reads__own_writes__go_to_the_primary(replica: None) -> None:
    with replicas.primary_only(), one_moment(may_lag=True):
        assert _names() == IS


def test_reads__of_what_belongs_to_an_experiment__go_where_it_was_read(replica: None) -> None:
    Variant.objects.filter(name="control").update(name="Renamed")
    with one_moment(may_lag=True):
        found = Experiment.objects.prefetch_related("variants").get()
        names = {variant.name for variant in found.variants.all()}
        latest = Allocation.objects.with_shares().get()
        shares = {share.variant.name for share in latest.shares.all()}

    assert (names, shares) == ({"control", "variant_b"},) * 2


def test_reads__of_accounts_and_keys__never_go_to_the_replica(replica: None) -> None:
    get_user_model().objects.create_user("ann")
    _key, given = ApiKey.objects.create_key(name="shop", scope=Scope.READ)

    with one_moment(may_lag=True):
        key = usable_key(given)
        assert get_user_model().objects.filter(username="ann").exists()

    assert key is not None
    assert key.name == "shop"


def test_writes__within_a_block_that_may_lag__go_to_the_primary(
    replica: None, experiment: Experiment
) -> None:
    with one_moment(may_lag=True):
        Experiment.objects.filter(pk=experiment.pk).update(name="Written")

    assert _names() == ["Written"] * 2
    assert Experiment.objects.using(REPLICA).get().name == "As it was"


def test_decisions__asked_for_within_a_block_that_may_lag__rest_on_the_primary(
    replica: None, experiment: Experiment
) -> None:
    DailyMetric.objects.filter(variant__name="control").update(clicks=800)
    Experiment.objects.update(data_version=F("data_version") + 1)

    with one_moment(may_lag=True):
        (outcome,) = compute_allocations(experiment_ids=[experiment.pk], target_date=TODAY, now=NOW)

    assert outcome.entry is not None
    assert outcome.entry.is_new
    assert outcome.entry.allocation.window_clicks == 1750
    assert Allocation.objects.using(REPLICA).count() == 1


def test_migrations__of_any_app__are_the_primarys_alone(replica: None) -> None:
    assert router.allow_migrate(DEFAULT_DB_ALIAS, "experiments")
    assert not router.allow_migrate(REPLICA, "experiments")
    assert not router.allow_migrate(REPLICA, "auth")


PAGES = ["", "explore/", "traffic/", "history/", "report/"]


@pytest.mark.parametrize("page", ["/dashboard/", *(f"/dashboard/experiments/{{}}/{page}" for page in PAGES)])
def test_page__that_people_read__is_the_replicas(
    replica: None, experiment: Experiment, visitor: None, page: str
) -> None:
    shown = Client().get(page.format(experiment.key)).content.decode()

    assert "As it was" in shown
    assert "As it is" not in shown


@pytest.mark.parametrize("page", ["data/", "settings/", "integrate/"])
def test_page__with_forms_of_what_is__is_the_primarys(
    replica: None, experiment: Experiment, visitor: None, page: str
) -> None:
    shown = Client().get(f"/dashboard/experiments/{experiment.key}/{page}").content.decode()

    assert "As it is" in shown
    assert "As it was" not in shown


def test_page__for_who_has_just_changed_something__is_the_primarys(
    replica: None, experiment: Experiment, visitor: None
) -> None:
    analyst, page = Client(), f"/dashboard/experiments/{experiment.key}/history/"
    before = analyst.get(page).content.decode()

    answer = analyst.post(f"{page}notes/", {"date": "2025-09-01", "text": "A campaign began"})
    after = analyst.get(page).content.decode()

    assert "As it was" in before
    assert answer.status_code == 302
    assert answer.cookies["just_changed"]["max-age"] == 10
    assert "As it is" in after
    assert "A campaign began" in after


def test_page__reloaded_without_caches__is_the_primarys(
    replica: None, experiment: Experiment, visitor: None
) -> None:
    shown = Client().get(f"/dashboard/experiments/{experiment.key}/", headers={"Cache-Control": "no-cache"})

    assert "As it is" in shown.content.decode()


FILES = {
    "data/daily-metrics.csv": ["1,2025-09-01,control,10000,700,0", "1,2025-09-01,variant_b,10000,950,0"],
    "traffic/decision-log.csv": ["2025-09-01,1,"],
}


@pytest.mark.parametrize("path", FILES)
def test_file__streamed_after_its_moment__is_the_replicas_to_its_end(
    replica: None, experiment: Experiment, visitor: None, path: str
) -> None:
    DailyMetric.objects.update(clicks=1)
    Allocation.objects.update(target_date=dt.date(2025, 9, 2))

    answer = Client().get(f"/dashboard/experiments/{experiment.key}/{path}")
    lines = answer.getvalue().decode().splitlines()

    expected = [line.replace("1,", f"{experiment.pk},", 1) if "control" in line or "variant_b" in line
                else line for line in FILES[path]]  # fmt: skip
    assert len(lines) == len(expected) + 1
    for line, beginning in zip(lines[1:], expected, strict=True):
        assert line.startswith(beginning)


def test_archive__of_an_experiment_of_the_replica__is_the_replicas(
    replica: None, experiment: Experiment, visitor: None
) -> None:
    answer = Client().get(f"/dashboard/experiments/{experiment.key}/everything.zip")
    answer.getvalue()

    assert answer.status_code == 200
    assert replicas.alias_to_read() == DEFAULT_DB_ALIAS


def test_api__decisions_and_what_was_written__is_the_primarys(
    replica: None, experiment: Experiment, api: APIClient, visitor: None
) -> None:
    path = f"/api/v1/experiments/{experiment.key}"

    assert api.get(f"{path}/").json()["name"] == "As it is"
    assert api.get(f"/experiments/{experiment.pk}").json()["name"] == "As it is"


def test_api__statistics_and_decision_log__are_the_replicas_unless_asked_afresh(
    replica: None, experiment: Experiment, api: APIClient, visitor: None
) -> None:
    DailyMetric.objects.update(clicks=1)
    Allocation.objects.update(reason="Another")
    path = f"/api/v1/experiments/{experiment.key}"
    fresh = {"Cache-Control": "no-cache"}

    was = [variant["successes"] for variant in api.get(f"{path}/statistics/").json()["variants"]]
    now = [
        variant["successes"] for variant in api.get(f"{path}/statistics/", headers=fresh).json()["variants"]
    ]

    assert (was, now) == ([700, 950], [1, 1])
    assert api.get(f"{path}/allocations/").json()["results"][0]["reason"] != "Another"
    assert api.get(f"{path}/allocations/", headers=fresh).json()["results"][0]["reason"] == "Another"


def test_replica__that_cannot_be_reached__is_replaced_by_the_primary_and_left_out(
    replica: None, caplog: pytest.LogCaptureFixture
) -> None:
    connections[REPLICA].close()
    name = connections[REPLICA].settings_dict["NAME"]
    connections[REPLICA].settings_dict["NAME"] = "/nowhere/replica"

    with one_moment(may_lag=True):
        found = _names()
    connections[REPLICA].settings_dict["NAME"] = name

    assert found == IS
    assert [line for line in caplog.messages if "replica.lost" in line]
    assert replicas.usable_replicas() == []
    replicas.forget()
    assert replicas.usable_replicas() == [REPLICA]


def test_replica__that_fails_in_the_middle_of_a_read__is_replaced_by_the_primary(replica: None) -> None:
    @answer_may_lag
    def read() -> list[object]:
        found = _names()
        if found == WAS:
            raise OperationalError("canceling statement due to conflict with recovery")
        return found

    assert read() == IS


def test_read__that_fails_on_the_primary_too__fails_once(replica: None) -> None:
    read_from = []

    @answer_may_lag
    def read() -> None:
        read_from.append(replicas.alias_to_read())
        raise OperationalError("away")

    with pytest.raises(OperationalError):
        read()
    with pytest.raises(OperationalError), replicas.primary_only():
        read()

    assert read_from == [REPLICA, DEFAULT_DB_ALIAS, DEFAULT_DB_ALIAS]


@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_read__that_takes_too_long_on_a_replica__is_not_tried_again(replica: None) -> None:
    read_from = []

    @answer_may_lag
    def read() -> None:
        read_from.append(replicas.alias_to_read())
        with connections[replicas.alias_to_read()].cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 10")
            cursor.execute("SELECT pg_sleep(60)")

    with pytest.raises(OperationalError, match="statement timeout"):
        read()

    assert read_from == [REPLICA]


@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_replica__that_takes_connections_and_is_silent__keeps_one_reader_waiting(replica: None) -> None:
    connections[REPLICA].close()
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor(1) as one:
        waiting = one.submit(_read_from_host, *silent.getsockname()[:2])
        with silent.accept()[0] as caller:
            caller.recv(1000)
            with one_moment(may_lag=True):
                assert _names() == IS
            caller.setblocking(False)
            with pytest.raises(BlockingIOError):
                caller.recv(1000)  # the other has not stopped waiting
        assert waiting.result() == IS


def _read_from_host(host: str, port: int) -> list[object]:
    """Read in a thread, whose connection to the replica is its own."""
    connections[REPLICA] = connection.copy(REPLICA)
    options = {**connection.settings_dict["OPTIONS"], "connect_timeout": 30}
    connections[REPLICA].settings_dict |= {"HOST": host, "PORT": port, "OPTIONS": options}
    try:
        with one_moment(may_lag=True):
            return _names()
    finally:
        connection.close()


@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_connection__cut_in_the_middle__fails_this_answer_and_not_the_next(replica: None) -> None:
    with pytest.raises(OperationalError), one_moment(may_lag=True):
        _cut_and_read()

    with one_moment(may_lag=True):
        assert _names() == WAS


def _cut_and_read() -> None:
    """Let the replica's server end the connection while an answer is put together from it."""
    pid = connections[REPLICA].connection.info.backend_pid
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
    _names()
