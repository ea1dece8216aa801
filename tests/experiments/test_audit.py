import pytest
from django.test import Client

from bandit_project.models import ApiKey
from experiments.models import Experiment, Status, Variant
from experiments.services import change_status
from experiments.variants import change_variant
from tests.factory import NOW, counts, make_experiment, make_running, record

pytestmark = pytest.mark.django_db


def test_history__status_changed_by_a_guarded_update__is_recorded() -> None:
    experiment = make_experiment()

    change_status(experiment_id=experiment.pk, to=Status.PAUSED, now=NOW)

    statuses = Experiment.history.filter(id=experiment.pk).order_by("history_id")
    assert list(statuses.values_list("status", flat=True)) == ["active", "paused"]


def test_history__variants_created_by_events_and_renamed__are_recorded() -> None:
    experiment = make_running()
    variant = experiment.variants.get(name="variant_b")

    change_variant(experiment_id=experiment.pk, variant_id=variant.pk, now=NOW, name="green")

    names = Variant.history.filter(id=variant.pk).order_by("history_id")
    assert list(names.values_list("name", flat=True)) == ["variant_b", "green"]


def test_history__events_of_known_variants__leave_none() -> None:
    experiment = make_running()
    before = Experiment.history.count(), Variant.history.count()

    record(experiment, counts("control", 5, 1))

    assert (Experiment.history.count(), Variant.history.count()) == before


def test_history__request_with_an_api_key__names_the_key(client: Client) -> None:
    key, secret = ApiKey.objects.create_key(name="warehouse", scope="write")

    client.post(
        "/api/v1/experiments/",
        {"name": "x"},
        content_type="application/json",
        headers={"Authorization": f"Api-Key {secret}"},
    )

    assert Experiment.history.get().history_user == f"API key {key}"
