"""Two people who edit an experiment through /api/v1/: the second is told, where it asks to be."""

from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from allocation.services import complete_experiment
from experiments.models import Experiment, Status
from tests.experiments.api.answers import V1, refused_fields
from tests.factory import TODAY, counts, make_running, record

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
        "The experiment has changed since you read it: If-Match names another version. Somebody has changed it, a "
        "schedule or a default, or this request did if it was sent before. Read it again and compare; what is still "
        "missing goes with its new ETag."
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


# Each call that answers an experiment: the state that it needs, and what is sent.
ANSWERING: dict[str, tuple[Status, dict[str, Any]]] = {
    "experiments_create": (Status.ACTIVE, {"name": "Another"}),
    "experiments_retrieve": (Status.ACTIVE, {}),
    "experiments_update": (Status.ACTIVE, {"name": "Button"}),
    "experiments_partial_update": (Status.ACTIVE, {"owner": "Growth"}),
    "experiments_start_create": (Status.DRAFT, {}),
    "experiments_pause_create": (Status.ACTIVE, {}),
    "experiments_resume_create": (Status.PAUSED, {}),
    "experiments_archive_create": (Status.PAUSED, {}),
    "experiments_unarchive_create": (Status.PAUSED, {}),
    "experiments_duplicate_create": (Status.ACTIVE, {}),
    "experiments_complete": (Status.ACTIVE, {"winner": "control"}),
    "experiments_complete_undo": (Status.COMPLETED, {}),
}
CREATES, READS = "experiments_create", "experiments_retrieve"


def calls_that_answer_an_experiment(api: APIClient) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Return the method, path and description of each, by its name in the OpenAPI document."""
    paths = api.get("/schema", {"format": "json"}).json()["paths"]
    return {
        call["operationId"].removeprefix("api_v1_"): (method, path, call)
        for path, calls in paths.items()
        for method, call in calls.items()
        if any(_is_an_experiment(answer) for answer in call["responses"].values())
    }


def _is_an_experiment(answer: dict[str, Any]) -> bool:
    schemas = [content.get("schema", {}) for content in answer.get("content", {}).values()]
    return {"$ref": "#/components/schemas/Experiment"} in schemas


def send(api: APIClient, call: str, etag: str | None = None) -> Any:
    """Make the call on an experiment in the state that it needs."""
    state, body = ANSWERING[call]
    experiment = make_running()
    if state == Status.COMPLETED:
        complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=timezone.now())
    else:
        Experiment.objects.update(status=state)
    method, path, _described = calls_that_answer_an_experiment(api)[call]
    headers = {"If-Match": etag} if etag else {}
    return getattr(api, method)(path.format(reference=experiment.key), body or None, headers=headers)


def test_openapi__calls_that_answer_an_experiment__are_these_and_name_its_etag(api: APIClient) -> None:
    found = calls_that_answer_an_experiment(api)

    assert found.keys() == ANSWERING.keys()
    for _method, _path, call in found.values():
        assert all(
            "ETag" in answer["headers"] for answer in call["responses"].values() if _is_an_experiment(answer)
        )


@pytest.mark.parametrize("call", ANSWERING)
def test_call__that_answers_an_experiment__has_the_etag_of_the_next_get(api: APIClient, call: str) -> None:
    answer = send(api, call)

    assert answer.status_code in (200, 201), answer.content
    assert answer["ETag"] == api.get(f"{V1}/experiments/{answer.json()['key']}/")["ETag"]


@pytest.mark.parametrize("call", [call for call in ANSWERING if call not in (CREATES, READS)])
def test_call__with_the_version_of_before__is_412_and_changes_nothing(api: APIClient, call: str) -> None:
    response = send(api, call, OTHER)

    state, _body = ANSWERING[call]
    assert (response.status_code, response.json()["code"]) == (412, "precondition_failed")
    assert [(one.status, one.owner, one.archived_at) for one in Experiment.objects.all()] == [
        (state, "", None)
    ]
    described = calls_that_answer_an_experiment(api)[call][2]
    assert "412" in described["responses"]
    assert "If-Match" in [parameter["name"] for parameter in described["parameters"]]


@pytest.mark.parametrize("call", [call for call in ANSWERING if call not in (CREATES, READS)])
def test_call__if_match_of_any_version__goes_through(api: APIClient, call: str) -> None:
    assert send(api, call, "*").status_code in (200, 201)


def test_variants__added_or_changed_on_an_older_version__are_412(api: APIClient, url: str) -> None:
    variant = Experiment.objects.get().variants.get(name="control")
    read = {"If-Match": api.get(url)["ETag"]}
    added = api.post(f"{url}variants/", {"name": "green"}, headers=read)
    calls = [
        ("post", f"{url}variants/", {"name": "red"}),
        ("patch", f"{url}variants/{variant.pk}/", {"name": "old"}),
    ]

    refused = [getattr(api, method)(path, body, headers=read) for method, path, body in calls]
    read = {"If-Match": api.get(url)["ETag"]}
    changed = api.patch(f"{url}variants/{variant.pk}/", {"name": "old"}, headers=read)

    assert (added.status_code, changed.status_code) == (201, 200)
    assert [response.status_code for response in refused] == [412, 412]
    assert set(Experiment.objects.get().variants.values_list("name", flat=True)) == {
        "old",
        "variant_b",
        "green",
    }


@pytest.mark.parametrize("path", ["notes/", "guards/", "allocation/", "guards/resume/"])
def test_write__that_takes_no_if_match__refuses_it_and_changes_nothing(
    api: APIClient, url: str, path: str
) -> None:
    response = api.post(f"{url}{path}", {"metric": "ctr"}, headers={"If-Match": api.get(url)["ETag"]})

    assert refused_fields(response) == ["If-Match"]
    assert response.json()["errors"][0]["message"] == "This call does not look at it; leave it out."


def test_post__sent_again_with_its_key_and_the_version_of_before__is_replayed(
    api: APIClient, url: str
) -> None:
    headers = {"If-Match": api.get(url)["ETag"], "Idempotency-Key": "one"}
    first, again = (api.post(f"{url}pause/", headers=headers) for _ in range(2))

    assert (first.status_code, again.status_code) == (200, 200)
    assert again["Idempotent-Replayed"] == "true"


def test_openapi__names_the_headers_and_their_answers(api: APIClient) -> None:
    calls = api.get("/schema", {"format": "json"}).json()["paths"][f"{V1}/experiments/{{reference}}/"]

    assert {"304", "200"} <= set(calls["get"]["responses"])
    assert "412" in calls["patch"]["responses"]
    assert "ETag" in calls["patch"]["responses"]["200"]["headers"]
    assert "If-Match" in [parameter["name"] for parameter in calls["patch"]["parameters"]]
