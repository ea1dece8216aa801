"""A refusal names what is wrong and what to send instead, also where REST framework refuses."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

from bandit_project.models import ApiKey
from experiments.models import Experiment
from tests.factory import make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

V1 = "/api/v1"
_HOW = "Authorization: Api-Key <key>"


@pytest.mark.parametrize("path", [f"{V1}/experiments/", "/experiments", "/allocation"])
def test_refusal__no_key__says_how_to_send_one(settings: Settings, path: str) -> None:
    settings.API_KEY_REQUIRED = True

    refused = APIClient().get(path)

    assert refused.status_code == 401
    assert _HOW in refused.json()["detail"]


def test_refusal__wrong_key__says_where_to_make_another_one() -> None:
    refused = APIClient().get(f"{V1}/experiments/", HTTP_X_API_KEY="wrong")

    assert (refused.status_code, refused.json()["code"]) == (401, "invalid_api_key")
    assert "dashboard" in refused.json()["detail"]
    assert _HOW in refused.json()["detail"]


@pytest.mark.parametrize(
    ("path", "sent", "wanted"),
    [
        (f"{V1}/events/", "text/csv", "application/json"),
        ("/events", "text/csv", "application/json"),
        ("/experiments", "application/xml", "application/json"),
        (f"{V1}/events/csv/", "application/json", "multipart/form-data"),
        ("/upload-data", "application/json", "multipart/form-data"),
    ],
)
def test_refusal__other_media_type__names_those_that_are_taken(
    client: Client, path: str, sent: str, wanted: str
) -> None:
    refused = client.post(path, "{}", content_type=sent)

    assert refused.status_code == 415
    assert f'"{sent}"' in refused.json()["detail"]
    assert wanted in refused.json()["detail"]


def test_refusal__accept_of_no_format__names_those_that_are_sent(client: Client) -> None:
    refused = client.get(f"{V1}/experiments/", headers={"Accept": "application/xml"})

    assert refused.status_code == 406
    assert "application/json" in refused.json()["detail"]


@pytest.mark.parametrize(("path", "known"), [("experiments/", "json"), ("experiments/{}/metrics/", "csv")])
def test_refusal__unknown_format__lists_the_formats(client: Client, path: str, known: str) -> None:
    experiment = make_running()

    refused = client.get(f"{V1}/{path.format(experiment.key)}?format=xml")

    assert (refused.status_code, refused.json()["code"]) == (406, "not_acceptable")
    assert refused.json()["detail"].startswith("format: 'xml'")
    assert known in refused.json()["detail"]


def test_refusal__unknown_format_below_a_path_prefix__is_406_too(client: Client) -> None:
    refused = client.get(f"{V1}/experiments/?format=xml", SCRIPT_NAME="/bandit")

    assert (refused.status_code, refused.json()["code"]) == (406, "not_acceptable")


@pytest.mark.parametrize("method", ["post", "delete"])
def test_refusal__unknown_format_of_a_write__does_nothing(client: Client, method: str) -> None:
    experiment = make_running()

    refused = getattr(client, method)(f"{V1}/experiments/{experiment.key}/?format=xml")

    assert refused.status_code == 406
    assert Experiment.objects.filter(pk=experiment.pk).exists()


def test_refusal__unknown_format_of_a_classic_call__is_404_as_its_clients_know_it(client: Client) -> None:
    assert client.get("/experiments?format=xml").status_code == 404


@pytest.mark.parametrize(
    ("path", "taken"), [(f"{V1}/events/", "POST"), ("/events", "POST"), ("/health", "GET"), ("/docs", "GET")]
)
def test_refusal__other_method__names_those_that_are_taken(client: Client, path: str, taken: str) -> None:
    refused = client.delete(path)

    assert refused.status_code == 405
    assert f"{path} takes" in refused.json()["detail"]
    assert taken in refused.json()["detail"]


@pytest.mark.parametrize("path", [f"{V1}/events/", "/events"])
@pytest.mark.parametrize(("body", "status", "said"), [("{bad", 400, "not JSON"), ("[]", 422, "JSON object")])
def test_refusal__no_json_object__asks_for_one(
    client: Client, path: str, body: str, status: int, said: str
) -> None:
    refused = client.post(path, body, content_type="application/json")

    assert refused.status_code == status
    assert said in refused.json()["detail"]


@pytest.mark.parametrize("path", [f"{V1}/events/", f"{V1}/experiments/", "/events"])
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("\ufeff{}", "The body begins with a byte order mark. Send plain UTF-8, without it."),
        (
            f'{{"rows": {"1" * 5000}}}',
            "A number of the body has thousands of digits. Send one that can be a count",
        ),
    ],
)
def test_refusal__body_that_python_alone_would_explain__says_what_to_send(
    client: Client, path: str, body: str, said: str
) -> None:
    refused = client.post(path, body.encode(), content_type="application/json")

    assert (refused.status_code, refused.json()["detail"][: len(said)]) == (400, said)


@pytest.mark.parametrize(
    ("body", "field", "kind"),
    [
        ('"x"', "", "a JSON object, not a text."),
        ("1.5", "", "a JSON object, not a number."),
        ("true", "", "a JSON object, not true or false."),
        ("[]", "", "a JSON object, not a list."),
        ('{"rows": {}}', "rows", "a list, not an object."),
        ('{"rows": "x"}', "rows", "a list, not a text."),
        ('{"rows": ["x"]}', "rows[0]", "a JSON object, not a text."),
    ],
)
def test_refusal__value_of_another_kind__is_named_as_json_has_it(
    client: Client, body: str, field: str, kind: str
) -> None:
    refused = client.post(f"{V1}/events/", body, content_type="application/json")

    (error,) = refused.json()["errors"]
    assert (refused.status_code, error["field"], error["message"]) == (422, field, f"Must be {kind}")


_FLAGS = "/ofrep/v1/evaluate/flags"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (f"{V1}/events", f"There is nothing at {V1}/events. Send it to {V1}/events/, which ends in a slash."),
        (f"{V1}/event", f"There is nothing at {V1}/event. It may have been deleted or renamed."),
        (f"{V1}/event/", f"There is nothing at {V1}/event/. It may have been deleted or renamed."),
        (
            f"{_FLAGS}/",
            f"There is nothing at {_FLAGS}/. Send it to {_FLAGS}, which does not end in a slash.",
        ),
    ],
)
def test_refusal__post_at_fault_by_its_slash__names_the_address_that_exists(
    client: Client, path: str, said: str
) -> None:
    refused = client.post(path, "{}", content_type="application/json")

    assert (refused.status_code, refused.json()["detail"]) == (404, said)


def test_refusal__scope_too_small__names_both() -> None:
    key = ApiKey.objects.create_key(name="reader", scope="read")[1]

    refused = APIClient().post(f"{V1}/experiments/", {"name": "A"}, HTTP_X_API_KEY=key)

    assert refused.status_code == 403
    assert "the scope write" in refused.json()["detail"]
    assert "the scope read" in refused.json()["detail"]


def test_refusal__page_past_the_end__names_the_parameter(client: Client) -> None:
    detail = client.get(f"{V1}/experiments/?page=99").json()["detail"]

    assert detail.startswith('page: this list has no page "99"')


@pytest.mark.parametrize(
    ("method", "place"),
    [
        ("get", ""),
        ("patch", "variants/999/"),
        ("delete", "notes/999/"),
        ("delete", "guards/999/"),
        ("get", "allocations/999/"),
    ],
)
def test_refusal__nothing_there__says_what_lists_those_that_are(
    api: APIClient, method: str, place: str
) -> None:
    key = make_running().key if place else "nowhere"

    refused = getattr(api, method)(f"{V1}/experiments/{key}/{place}")

    assert refused.status_code == 404
    assert "lists the ids" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("path", "body", "field", "choices"),
    [
        ("experiments/", {"name": "A", "reward": "x"}, "reward", "ctr, "),
        ("experiments/", {"name": "A", "status": "x"}, "status", "draft, active"),
        ("experiments/", {"name": "A", "on_end": "x"}, "on_end", "variant"),
        ("experiments/{}/guards/", {"metric": "x", "max_fall": 5}, "metric", "ctr, "),
        ("experiments/{}/guards/", {"metric": "ctr", "max_fall": 5, "action": "x"}, "action", "act, tell"),
        ("experiments/{}/complete/", {"winner": "x"}, "winner", "control, variant_b"),
        ("simulations/", {"rates": [0.1, 0.2], "policies": ["x"]}, "policies[0]", "thompson, "),
        ("simulations/", {"rates": [0.1, 0.2], "scenario": "x"}, "scenario", "constant, "),
        ("simulations/", {"rates": [0.1, 0.2], "stop": "x"}, "stop", "value-remaining"),
        ("events/", {"mode": "x", "rows": []}, "mode", "set, add"),
    ],
)
def test_refusal__unknown_name_of_a_short_list__lists_the_names(
    client: Client, path: str, body: dict[str, object], field: str, choices: str
) -> None:
    experiment = make_running()

    refused = client.post(f"{V1}/{path.format(experiment.key)}", body, content_type="application/json")

    assert refused.status_code == 422
    [message] = [issue["message"] for issue in refused.json()["errors"] if issue["field"] == field]
    assert choices in message.partition("must be one of ")[2]


@pytest.mark.parametrize(
    ("path", "choices"),
    [
        ("experiments/?status=x", "draft, active, paused, completed"),
        ("experiments/?reward=x", "ctr, "),
        ("experiments/{}/allocations/?kind=x", "warm_up, "),
        ("experiments/{}/allocations/?state=x", "collecting, "),
        ("experiments/{}/guards/?action=x", "act, tell"),
    ],
)
def test_refusal__unknown_word_of_a_filter__lists_the_words(client: Client, path: str, choices: str) -> None:
    experiment = make_running()

    [issue] = client.get(f"{V1}/{path.format(experiment.key)}").json()["errors"]

    assert f"must be one of {choices}" in issue["message"]


def test_refusal__unknown_choice_of_an_upload__lists_the_choices(client: Client) -> None:
    body = {"file": SimpleUploadedFile("a.csv", b"x"), "on_error": "x"}

    [issue] = client.post(f"{V1}/events/csv/", body).json()["errors"]

    assert issue["message"].endswith("must be one of reject, skip.")


def test_refusal__several_problems__are_joined_without_a_full_stop_between_and_the_others_counted(
    client: Client,
) -> None:
    two = client.post(f"{V1}/experiments/", '{"x": 1}', content_type="application/json").json()
    five = client.post(
        f"{V1}/experiments/", '{"x": 1, "y": 1, "z": 1, "a": 1}', content_type="application/json"
    ).json()

    first, second = two["errors"]
    assert first["message"].endswith(".")
    assert two["detail"] == f"name: {first['message'][:-1]}; x: {second['message']}"
    assert len(five["errors"]) == 5
    assert five["detail"].endswith("; and 2 more")


def test_refusal__body_of_counts_that_is_null__begins_with_what_it_must_be(client: Client) -> None:
    headers = {"Idempotency-Key": "once"}

    refused = client.post(f"{V1}/counts/", "null", content_type="application/json", headers=headers)

    assert refused.json()["detail"] == "Must be a JSON object, not null."
