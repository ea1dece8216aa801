"""Two people who edit an experiment through /api/v1/: the second is told, where it asks to be."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from experiments.models import Experiment
from tests.experiments.api.answers import V1
from tests.factory import counts, make_running, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

OTHER = '"0123456789abcdef0123456789abcdef"'


@pytest.fixture
def url() -> str:
    return f"{V1}/experiments/{make_running().key}/"


def patch(api: APIClient, url: str, etag: str, **change: Any) -> Any:
    return api.patch(url, change, headers={"If-Match": etag})


def test_get__with_the_etag_of_before__is_304_until_something_of_it_changes(api: APIClient, url: str) -> None:
    first = api.get(url)
    same = api.get(url, headers={"If-None-Match": first["ETag"]})
    api.patch(url, {"owner": "Growth"})
    changed = api.get(url, headers={"If-None-Match": first["ETag"]})

    assert (same.status_code, same.content, same["ETag"]) == (304, b"", first["ETag"])
    assert (changed.status_code, changed.json()["owner"]) == (200, "Growth")
    assert changed["ETag"] != first["ETag"]
    assert not first["ETag"].startswith("W/")


@pytest.mark.parametrize("given", ["{etag}", "W/{etag}", f"{OTHER}, {{etag}}", "*"])
def test_get__if_none_match_in_any_spelling__is_304(api: APIClient, url: str, given: str) -> None:
    etag = api.get(url)["ETag"]

    assert api.get(url, headers={"If-None-Match": given.format(etag=etag)}).status_code == 304


def test_etag__new_counts__leave_it_and_a_new_variant_does_not(api: APIClient, url: str) -> None:
    experiment = Experiment.objects.get()
    first = api.get(url)["ETag"]

    record(experiment, counts("control", 20000, 1400))
    after_counts = api.get(url)["ETag"]
    record(experiment, counts("green", 10, 1))

    assert after_counts == first
    assert api.get(url)["ETag"] != first


def test_etag__of_post_and_patch__is_that_of_the_next_get(api: APIClient) -> None:
    made = api.post(f"{V1}/experiments/", {"name": "Button", "variants": [{"name": "a"}]})
    url = made["Location"]
    read = api.get(url)["ETag"]
    changed = api.patch(url, {"name": "Big button"})

    assert read == made["ETag"]
    assert api.get(url)["ETag"] == changed["ETag"] != read


def test_etag__of_a_replayed_answer__is_the_first_ones(api: APIClient) -> None:
    key = {"Idempotency-Key": "one"}
    first, again = (api.post(f"{V1}/experiments/", {"name": "Button"}, headers=key) for _ in range(2))

    assert again["Idempotent-Replayed"] == "true"
    assert again["ETag"] == first["ETag"]


@pytest.mark.parametrize("given", ["{etag}", "W/{etag}", f"{OTHER}, {{etag}}", "*"])
def test_patch__with_the_version_that_was_read__changes_it(api: APIClient, url: str, given: str) -> None:
    response = patch(api, url, given.format(etag=api.get(url)["ETag"]), owner="Growth")

    assert (response.status_code, response.json()["owner"]) == (200, "Growth")


def test_patch__somebody_was_faster__is_412_and_changes_nothing(api: APIClient, url: str) -> None:
    etag = api.get(url)["ETag"]
    patch(api, url, etag, owner="Growth")

    response = patch(api, url, etag, owner="Brand")

    problem = response.json()
    assert (response.status_code, problem["code"]) == (412, "precondition_failed")
    assert problem["detail"] == (
        "The experiment is not the one that If-Match names: somebody has changed it since you read it. "
        "Read it again, and send your change with its new ETag."
    )
    assert Experiment.objects.get().owner == "Growth"
    assert patch(api, url, api.get(url)["ETag"], owner="Brand").status_code == 200


@pytest.mark.parametrize("given", [OTHER, "no etag", ""])
def test_patch__header_that_names_no_present_version__is_412(api: APIClient, url: str, given: str) -> None:
    assert patch(api, url, given, owner="Growth").status_code == 412


def test_patch__without_if_match__overwrites_as_ever(api: APIClient, url: str) -> None:
    api.patch(url, {"owner": "Growth"})

    assert api.patch(url, {"owner": "Brand"}).json()["owner"] == "Brand"


def test_put_and_delete__somebody_was_faster__are_412(api: APIClient, url: str) -> None:
    headers = {"If-Match": api.get(url)["ETag"]}
    api.patch(url, {"owner": "Growth"})

    assert api.put(url, {"name": "Button"}, headers=headers).status_code == 412
    assert api.delete(url, headers=headers).status_code == 412
    assert Experiment.objects.get().owner == "Growth"


def test_patch__unknown_experiment_with_if_match__is_404(api: APIClient) -> None:
    assert patch(api, f"{V1}/experiments/nothing/", "*", owner="Growth").status_code == 404


def test_openapi__names_the_headers_and_their_answers(api: APIClient) -> None:
    calls = api.get("/schema", {"format": "json"}).json()["paths"][f"{V1}/experiments/{{reference}}/"]

    assert {"304", "200"} <= set(calls["get"]["responses"])
    assert "412" in calls["patch"]["responses"]
    assert "ETag" in calls["patch"]["responses"]["200"]["headers"]
    assert "If-Match" in [parameter["name"] for parameter in calls["patch"]["parameters"]]
