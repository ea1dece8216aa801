"""Experiments as a whole: duplicated, archived, deleted, and who may."""

from typing import Any

import pytest
from django.test import Client

from experiments.models import Experiment, Status
from experiments.services import change_status
from tests.dashboard.clients import client_of
from tests.factory import NOW, allocate, make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

NEW = "/dashboard/experiments/new/"
ONE = "/dashboard/experiments/button-colour/"
SETTINGS = f"{ONE}settings/"


@pytest.fixture
def analyst() -> Client:
    return client_of("analyst")


def test_duplicate__running__leads_to_a_draft_of_its_own(analyst: Client) -> None:
    make_running()

    response = analyst.post(f"{ONE}duplicate/")

    assert response["Location"] == "/dashboard/experiments/copy-of-button-colour/settings/"
    assert Experiment.objects.get(key="copy-of-button-colour").status == Status.DRAFT


def test_archive__paused_and_back(analyst: Client) -> None:
    experiment = make_running()
    refused = analyst.post(f"{ONE}archive/", follow=True)
    change_status(experiment_id=experiment.pk, to=Status.PAUSED, now=NOW)

    analyst.post(f"{ONE}archive/")
    archived = Experiment.objects.get().archived_at
    analyst.post(f"{ONE}unarchive/")

    assert b"pause or complete it first" in refused.content
    assert (archived, Experiment.objects.get().archived_at) == (NOW, None)


def test_delete__admin__deletes_and_only_an_admin_may(analyst: Client) -> None:
    allocate(make_running("Button <colour>"))
    url = "/dashboard/experiments/button-colour/"
    admin = client_of("admin")

    assert analyst.post(f"{url}delete/").status_code == 403
    assert b"Delete permanently" not in analyst.get(f"{url}settings/").content
    assert "Delete “Button &lt;colour&gt;”?" in admin.get(f"{url}settings/").content.decode()
    assert admin.post(f"{url}delete/", follow=True).status_code == 200
    assert not Experiment.objects.exists()


@pytest.mark.parametrize(
    "path",
    ["duplicate/", "archive/", "settings/", "settings/variants/", "settings/variants/1/rename/"]
    + [f"settings/variants/1/{act}/" for act in ("retire", "bring-back", "control")],
)
def test_change__viewer__is_refused(path: str) -> None:
    make_running()

    assert client_of("viewer").post(f"{ONE}{path}", {"name": "x"}).status_code == 403


@pytest.mark.parametrize("path", [NEW, SETTINGS])
def test_forms__page__at_most_12_queries(
    analyst: Client, path: str, django_assert_max_num_queries: Any
) -> None:
    allocate(make_running())

    with django_assert_max_num_queries(12):
        assert analyst.get(path).status_code == 200


def test_forms__without_their_token__are_refused() -> None:
    make_running()
    client = Client(enforce_csrf_checks=True)

    assert client.post(NEW, {"name": "a"}).status_code == 403
    assert client.post(SETTINGS, {"name": "x"}).status_code == 403
