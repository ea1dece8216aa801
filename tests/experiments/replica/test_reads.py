"""Reads that may lag go to the copy, all others and every write to the primary."""

import datetime as dt

import pytest
from django.contrib.auth import get_user_model
from django.db import DEFAULT_DB_ALIAS, router, transaction
from django.db.models import F
from django.test import Client
from rest_framework.test import APIClient

from allocation.models import Allocation
from allocation.services import compute_allocations
from bandit_project.api.keys import usable_key
from bandit_project.models import ApiKey, Scope
from experiments.database import replica as replicas
from experiments.database.moment import one_moment
from experiments.models import DailyMetric, Experiment, Variant
from tests.experiments.replica.renamed import IS, REPLICA, WAS, names
from tests.factory import NOW, TODAY

# Each test makes rows of the numbers that the copy has.
pytestmark = pytest.mark.django_db(transaction=True, reset_sequences=True)


def test_reads__without_a_replica__go_to_the_one_database(experiment: Experiment) -> None:
    with one_moment(may_lag=True):
        assert names() == WAS


def test_reads__of_a_block_that_may_lag__go_to_the_replica(replica: None) -> None:
    with one_moment(may_lag=True):
        within = names()

    assert within == WAS
    assert names() == IS


def test_reads__of_any_other_block__go_to_the_primary(replica: None) -> None:
    with one_moment():
        assert names() == IS


def test_reads__one_moment_within_another__stay_where_the_outer_one_is(replica: None) -> None:
    with one_moment(may_lag=True), one_moment():
        assert names() == WAS
    with one_moment(), one_moment(may_lag=True):
        assert names() == IS


def test_reads__in_a_transaction__go_to_the_primary(replica: None) -> None:
    with transaction.atomic(), one_moment(may_lag=True):
        assert names() == IS
    with one_moment(may_lag=True), transaction.atomic():
        assert names() == IS


def test_reads__own_writes__go_to_the_primary(replica: None) -> None:
    with replicas.primary_only(), one_moment(may_lag=True):
        assert names() == IS


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

    assert names() == ["Written"] * 2
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
