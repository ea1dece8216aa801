"""The campaign of an experiment through v1: owner, tags, dates and the end, notes and guards."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from bandit_project.models import ApiKey
from experiments.campaign.models import BLANK_CAMPAIGN, Guard
from experiments.models import Experiment, Status
from tests.factory import NOW, make_experiment, make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

EXPERIMENTS = "/api/v1/experiments/"
ONE = f"{EXPERIMENTS}button-colour/"
CAMPAIGN = {
    "owner": "Growth",
    "tags": ["summer", "mail-2025"],
    "currency": "EUR",
    "value_cap": 250.5,
    "fixed_variants": True,
    "starts_at": "2025-09-01T09:00:00Z",
    "ends_at": "2025-10-01T09:00:00Z",
    "on_end": "variant",
    "on_end_variant": "blue",
    "complete_when_decided": True,
}


def _fields(response: Any) -> list[str]:
    assert response.status_code == 422, response.content
    return [issue["field"] for issue in response.json()["errors"]]


def _message(response: Any) -> str:
    return str(response.json()["errors"][0]["message"])


def _campaign(api: APIClient) -> dict[str, Any]:
    answer = api.get(ONE).json()
    return {name: answer[name] for name in CAMPAIGN}


def test_create__campaign__is_kept_and_answered(api: APIClient) -> None:
    variants = [{"name": "control"}, {"name": "blue"}]

    response = api.post(EXPERIMENTS, {"name": "Button colour", "variants": variants, **CAMPAIGN})

    assert response.status_code == 201, response.content
    assert _campaign(api) == CAMPAIGN
    assert response.json()["decision_reason"] == ""


def test_create__without_a_campaign__has_none(api: APIClient) -> None:
    api.post(EXPERIMENTS, {"name": "Button colour"})

    assert _campaign(api) == {**BLANK_CAMPAIGN, "tags": []}


def test_patch__campaign__changes_what_is_given_and_is_in_the_history(api: APIClient) -> None:
    make_running()

    assert api.patch(ONE, {"owner": "Growth", "tags": ["Summer", "mail", "summer"]}).status_code == 200
    assert api.patch(ONE, {"on_end": "variant", "on_end_variant": "variant_b"}).status_code == 200

    assert _campaign(api) == {
        **BLANK_CAMPAIGN,
        "owner": "Growth",
        "tags": ["summer", "mail"],
        "on_end": "variant",
        "on_end_variant": "variant_b",
    }
    recorded = Experiment.history.order_by("-history_id").values_list("owner", "tags", "on_end")
    assert list(recorded[:2]) == [("Growth", "summer mail", "variant"), ("Growth", "summer mail", "pause")]


def test_put__campaign_left_out__is_blank_again(api: APIClient) -> None:
    make_running()
    api.patch(ONE, {name: value for name, value in CAMPAIGN.items() if not name.startswith("on_end")})

    api.put(ONE, {"name": "Button colour"})

    assert _campaign(api) == {**BLANK_CAMPAIGN, "tags": []}


def test_end__that_has_passed__is_refused_when_it_is_set_and_else_stays(api: APIClient) -> None:
    experiment = make_running()
    past, said = "2025-08-31T09:00:00Z", "has passed; name a later moment, or end the experiment now"

    changed = api.patch(ONE, {"ends_at": past})
    made = api.post(EXPERIMENTS, {"name": "Late", "ends_at": past})
    # a form knows whole seconds
    Experiment.objects.filter(pk=experiment.pk).update(ends_at="2025-08-31T09:00:00.5Z")
    kept = api.put(ONE, {"name": "Another", "ends_at": past})

    for refused in (changed, made):
        assert (refused.status_code, refused.json()["errors"]) == (
            422,
            [{"field": "ends_at", "code": "invalid", "message": said}],
        )
    assert (kept.status_code, kept.json()["name"], kept.json()["ends_at"]) == (200, "Another", past)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"ends_at": "2025-08-31T00:00:00Z"}, "ends_at", "must be after the start"),
        ({"ends_at": "2025-09-01T11:00:00+02:00"}, "ends_at", "must be after the start"),
        ({"ends_at": "2025-10-01T09:00:00"}, "ends_at", "with its offset from UTC"),
        ({"ends_at": "2025-13-01T09:00:00Z"}, "ends_at", "with its offset from UTC"),
        ({"ends_at": "0001-01-01T00:00:00+23:00"}, "ends_at", "with its offset from UTC"),
        ({"ends_at": 5}, "ends_at", "with its offset from UTC"),
        ({"on_end": "variant"}, "on_end_variant", "name the variant"),
        ({"on_end": "stop"}, "on_end", "not a valid choice"),
        ({"on_end_variant": "nobody"}, "on_end_variant", "must be one of the experiment's variants"),
        ({"value_cap": 0}, "value_cap", "must be a positive number"),
        ({"value_cap": -1}, "value_cap", "Must be from 0 to"),
        ({"value_cap": "123456789012.3456"}, "value_cap", "at most 15 digits"),
        ({"currency": "US dollars"}, "currency", "must be a word of at most 16 characters"),
        ({"currency": "x" * 17}, "currency", "no more than 16 characters"),
        ({"tags": ["two words"]}, "tags", "A tag is a word"),
        ({"tags": [1]}, "tags", "A tag is a word"),
        ({"tags": ["a"] * 21}, "tags", "At most 20 tags are kept."),
        ({"tags": ["x" * 41]}, "tags", "at most 40 of them"),
        ({"tags": "summer"}, "tags", "Must be a list of words."),
        ({"owner": "a\u0000b"}, "owner", "Null characters are not allowed"),
        ({"fixed_variants": "yes"}, "fixed_variants", "Must be true or false."),
        ({"decision_reason": "x"}, "decision_reason", "Unknown field"),
    ],
)
def test_patch__campaign_that_cannot_be__names_the_field_and_the_fix(
    api: APIClient, change: dict[str, Any], field: str, words: str
) -> None:
    make_running()
    api.patch(ONE, {"starts_at": "2025-09-01T09:00:00Z"})

    response = api.patch(ONE, change)

    assert _fields(response) == [field]
    assert words in _message(response)
    assert _campaign(api)["ends_at"] is None


def test_create__end_before_its_start__is_refused_and_makes_nothing(api: APIClient) -> None:
    body = {"name": "x", "starts_at": "2025-09-02T00:00:00Z", "ends_at": "2025-09-01T00:00:00Z"}

    assert _fields(api.post(EXPERIMENTS, body)) == ["ends_at"]
    assert _fields(api.post(EXPERIMENTS, {"name": "x", "on_end": "variant"})) == ["on_end_variant"]
    assert _fields(api.post(EXPERIMENTS, {"name": "x", "on_end_variant": "blue"})) == ["on_end_variant"]
    assert not Experiment.objects.exists()


def test_list__by_tag_and_owner__finds_whole_words(api: APIClient) -> None:
    for name, tags in {"One": ["summer", "mail"], "Two": ["summer-sale"], "Three": ["mail"]}.items():
        api.post(EXPERIMENTS, {"name": name, "tags": tags, "owner": "Growth" if name == "One" else ""})

    def found(query: str) -> set[str]:
        return {row["name"] for row in api.get(f"{EXPERIMENTS}?{query}").json()["results"]}

    assert found("tag=summer") == {"One"}
    assert found("tag=SUMMER") == {"One"}
    assert found("tag=mail") == {"One", "Three"}
    assert found("tag=sum") == found("tag=%25") == found("tag=summer%20mail&owner=x") == set()
    assert found("owner=Growth") == {"One"}


def test_complete__decision_reason__is_kept(api: APIClient) -> None:
    make_running()

    response = api.post(f"{ONE}complete/", {"winner": "variant_b", "decision_reason": "+36% clicks in a day"})

    assert response.json()["decision_reason"] == "+36% clicks in a day"
    assert Experiment.history.latest("history_id").decision_reason == "+36% clicks in a day"
    assert _fields(api.post(f"{ONE}complete/", {"decision_reason": "x" * 2001})) == ["decision_reason"]


def test_duplicate__campaign_and_guards__are_copied_without_dates(api: APIClient) -> None:
    make_running()
    own = {name: value for name, value in CAMPAIGN.items() if not name.startswith("on_end")}
    api.patch(ONE, {**own, "on_end": "variant", "on_end_variant": "variant_b"})
    api.post(f"{ONE}guards/", {"metric": "ctr", "max_fall": 5, "action": "act"})

    copy = api.post(f"{ONE}duplicate/").json()

    assert {name: copy[name] for name in CAMPAIGN} == {
        **CAMPAIGN, "starts_at": None, "ends_at": None, "on_end_variant": "variant_b",
    }  # fmt: skip
    (guard,) = api.get(f"{EXPERIMENTS}{copy['key']}/guards/").json()["results"]
    assert (guard["metric"], guard["max_fall"], guard["action"]) == ("ctr", 5, "act")


def test_duplicate__retired_variant_at_the_end__becomes_a_pause(api: APIClient) -> None:
    experiment = make_running()
    api.patch(ONE, {"on_end": "variant", "on_end_variant": "variant_b"})
    experiment.variants.filter(key="variant_b").update(is_active=False)

    copy = api.post(f"{ONE}duplicate/").json()

    assert (copy["on_end"], copy["on_end_variant"]) == ("pause", None)


def test_delete__experiment_with_a_variant_at_its_end_notes_and_guards__deletes_all(api: APIClient) -> None:
    make_running()
    api.patch(ONE, {"on_end": "variant", "on_end_variant": "variant_b"})
    api.post(f"{ONE}guards/", {"metric": "ctr", "max_fall": 5})
    api.post(f"{ONE}notes/", {"date": "2025-09-01", "text": "Sale"})

    assert api.delete(ONE).status_code == 204
    assert not Guard.objects.exists()


def test_notes__written_listed_and_deleted__are_signed_by_the_key(api: APIClient) -> None:
    make_experiment()
    _, key = ApiKey.objects.create_key(name="shop", scope="write")
    body = {"date": "2025-09-02", "text": "The summer sale begins"}

    response = api.post(f"{ONE}notes/", body, headers={"Authorization": f"Api-Key {key}"})
    api.post(f"{ONE}notes/", {"date": "2025-08-02", "text": "Before"})

    assert response.status_code == 201
    assert response["Location"] == f"{ONE}notes/{response.json()['id']}/"
    assert (response.json()["author"], response.json()["text"]) == ("API key shop", "The summer sale begins")
    assert [note["text"] for note in api.get(f"{ONE}notes/").json()["results"]] == [body["text"], "Before"]
    (only,) = api.get(f"{ONE}notes/?start_date=2025-09-01").json()["results"]
    assert api.get(response["Location"]).json() == only == response.json()

    assert api.delete(response["Location"]).status_code == 204
    assert api.get(response["Location"]).json()["code"] == "note_not_found"
    assert api.delete(response["Location"]).status_code == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"date": "1999-12-31"}, "date"),
        ({"date": "2100-01-01"}, "date"),
        ({"date": "soon"}, "date"),
        ({"text": ""}, "text"),
        ({"text": "x" * 501}, "text"),
        ({"author": "me"}, "author"),
    ],
)
def test_notes__one_that_cannot_be__names_the_field(
    api: APIClient, change: dict[str, Any], field: str
) -> None:
    make_experiment()

    assert _fields(api.post(f"{ONE}notes/", {"date": "2025-09-02", "text": "x", **change})) == [field]


def test_notes__another_experiments__are_not_found(api: APIClient) -> None:
    make_experiment()
    make_experiment("Other")
    place = api.post(f"{ONE}notes/", {"date": "2025-09-02", "text": "x"})["Location"]

    assert api.delete(place.replace("button-colour", "other")).status_code == 404
    assert api.get(f"{ONE}notes/99999999999999999999/").status_code == 404


def test_guards__made_changed_and_deleted__raise_the_data_version_and_are_in_the_history(
    api: APIClient,
) -> None:
    experiment = make_experiment()

    made = api.post(f"{ONE}guards/", {"metric": "conversion_rate", "max_fall": 10.5})
    changed = api.patch(made["Location"], {"max_fall": 5, "action": "act"})

    assert made.status_code == 201
    assert (made.json()["action"], made.json()["max_fall"]) == ("tell", 10.5)
    assert api.get(made["Location"]).json() == changed.json()
    assert (changed.json()["action"], changed.json()["max_fall"]) == ("act", 5.0)
    assert api.delete(made["Location"]).status_code == 204
    assert api.get(f"{ONE}guards/").json()["results"] == []
    assert api.get(made["Location"]).json()["code"] == "guard_not_found"
    assert list(Guard.history.order_by("history_id").values_list("history_type", "max_fall")) == [
        ("+", 10.5), ("~", 5.0), ("-", 5.0),
    ]  # fmt: skip
    experiment.refresh_from_db()
    assert experiment.data_version == 3


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"max_fall": 0}, "max_fall"),
        ({"max_fall": 100}, "max_fall"),
        ({"max_fall": -1}, "max_fall"),
        ({"max_fall": "5"}, "max_fall"),
        ({"metric": "revenue"}, "metric"),
        ({"metric": "ctr"}, "metric"),
        ({"action": "stop"}, "action"),
    ],
)
def test_guards__one_that_cannot_be__names_the_field_and_changes_nothing(
    api: APIClient, change: dict[str, Any], field: str
) -> None:
    make_experiment()
    api.post(f"{ONE}guards/", {"metric": "ctr", "max_fall": 5})
    other = api.post(f"{ONE}guards/", {"metric": "value_per_click", "max_fall": 5}).json()

    new = {"metric": "conversion_rate", "max_fall": 5, **change}
    assert _fields(api.post(f"{ONE}guards/", new)) == [field]
    assert _fields(api.patch(f"{ONE}guards/{other['id']}/", change)) == [field]
    assert api.get(f"{ONE}guards/").json()["results"][1:] == [other]


def test_guards__completed_experiment__keeps_them(api: APIClient) -> None:
    experiment = make_experiment()
    place = api.post(f"{ONE}guards/", {"metric": "ctr", "max_fall": 5})["Location"]
    Experiment.objects.filter(pk=experiment.pk).update(status=Status.COMPLETED, updated_at=NOW)

    assert api.post(f"{ONE}guards/", {"metric": "conversion_rate", "max_fall": 5}).status_code == 409
    assert api.patch(place, {"max_fall": 6}).status_code == 409
    assert api.delete(place).status_code == 409
    assert api.get(place).json()["max_fall"] == 5
