"""/api/v1/ about experiments, variants and metrics."""

import datetime as dt
from typing import Any

import pytest
from rest_framework.test import APIClient

from experiments.models import DailyMetric, Experiment, Status, Variant
from experiments.variants import add_variant
from tests.experiments.api.answers import DAY, V1, refused_fields, row_of
from tests.factory import NOW, TODAY, counts, make_experiment, make_running, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]


def test_create__variants_and_settings__answers_201_with_location_and_both_settings(api: APIClient) -> None:
    body = {
        "name": "Button",
        "reward": "conversion_rate",
        "variants": [{"name": "green"}, {"name": "blue", "is_control": True}],
        "settings": {"control_floor": 0.2, "window_days": None},
    }

    response = api.post(f"{V1}/experiments/", body)

    assert response.status_code == 201
    assert response["Location"] == f"{V1}/experiments/button/"
    answer = response.json()
    assert (answer["key"], answer["status"], answer["reward"]) == ("button", "draft", "conversion_rate")
    assert [(v["name"], v["is_control"]) for v in answer["variants"]] == [("green", False), ("blue", True)]
    assert (answer["settings"]["control_floor"], answer["settings"]["window_days"]) == (0.2, None)
    assert (answer["settings_in_force"]["control_floor"], answer["settings_in_force"]["window_days"]) == (
        0.2,
        None,
    )


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"variants": [{"name": "a"}, {"name": "a"}]}, "variants[1].name"),
        (
            {"variants": [{"name": "a", "is_control": True}, {"name": "b", "is_control": True}]},
            "variants[1].is_control",
        ),
        ({"variants": [{"name": "a", "weight": 1}]}, "variants[0].weight"),
        ({"settings": {"control_floor": 0.6}}, "settings.control_floor"),
        ({"settings": {"window_days": 1.5}}, "settings.window_days"),
        ({"settings": {"max_daily_shift": 0.12345}}, "settings.max_daily_shift"),
        ({"settings": {"alpha_prior": 10**400}}, "settings.alpha_prior"),
        ({"settings": {"day_adjustment": 1}}, "settings.day_adjustment"),
        ({"settings": {"control_floor": 0.5, "min_explore_rate": 0.5}}, "settings.control_floor"),
        ({"settings": {"windows": 3}}, "settings.windows"),
        ({"status": "completed"}, "status"),
    ],
    ids=str,
)
def test_create__bad_value__names_the_field_and_creates_nothing(
    api: APIClient, changes: dict[str, Any], field: str
) -> None:
    assert refused_fields(api.post(f"{V1}/experiments/", {"name": "Button", **changes})) == [field]
    assert not Experiment.objects.exists()


def test_list__filters_search_and_order__narrow_it(api: APIClient) -> None:
    for name, status in (("Alpha", Status.ACTIVE), ("Beta", Status.DRAFT), ("Gamma", Status.PAUSED)):
        make_experiment(name, status=status)
    archived = make_experiment("Old", status=Status.PAUSED)
    api.post(f"{V1}/experiments/{archived.key}/archive/")

    def names(**query: str) -> list[str]:
        return [entry["name"] for entry in api.get(f"{V1}/experiments/", query).json()["results"]]

    assert names(ordering="name") == ["Alpha", "Beta", "Gamma"]
    assert names(status="draft") == ["Beta"]
    assert names(search="gam") == ["Gamma"]
    assert names(archived="true") == ["Old"]
    assert names(ordering="-name", page_size="2") == ["Gamma", "Beta"]


def test_list__settings_that_clash_since_a_default_changed__are_still_listed(
    api: APIClient, settings: Any
) -> None:
    make_experiment(min_explore_rate=0.5)
    settings.ALGORITHM_DEFAULTS = {**settings.ALGORITHM_DEFAULTS, "control_floor": 0.5}

    assert api.get(f"{V1}/experiments/").json()["count"] == 1


def test_list__many__same_number_of_queries(api: APIClient, django_assert_num_queries: Any) -> None:
    for n in range(20):
        make_running(f"E{n}")

    with django_assert_num_queries(3):
        api.get(f"{V1}/experiments/")


def test_patch__settings__change_what_is_given_and_null_goes_back(api: APIClient) -> None:
    experiment = make_running(control_floor=0.3, window_days=7)

    answer = api.patch(
        f"{V1}/experiments/{experiment.key}/", {"settings": {"control_floor": None, "exploitation": 2}}
    ).json()

    assert answer["settings"]["control_floor"] is None
    assert (answer["settings"]["window_days"], answer["settings"]["exploitation"]) == (7, 2)


def test_put__replaces_everything_that_is_not_given(api: APIClient) -> None:
    experiment = make_running(control_floor=0.3, description="old")

    answer = api.put(f"{V1}/experiments/{experiment.key}/", {"name": "New"}).json()

    assert (answer["name"], answer["description"], answer["key"]) == ("New", "", experiment.key)
    assert answer["settings"]["control_floor"] is None


def test_patch__reward_of_a_running_experiment__is_409(api: APIClient) -> None:
    experiment = make_running()

    assert api.patch(f"{V1}/experiments/{experiment.key}/", {"reward": "conversion_rate"}).status_code == 409


def test_delete__takes_everything_with_it(api: APIClient) -> None:
    experiment = make_running()

    assert api.delete(f"{V1}/experiments/{experiment.key}/").status_code == 204
    assert not DailyMetric.objects.exists()


def test_actions__along_the_table__and_409_with_the_allowed_states_off_it(api: APIClient) -> None:
    experiment = make_experiment(status=Status.DRAFT)
    url = f"{V1}/experiments/{experiment.key}"

    assert api.post(f"{url}/resume/").status_code == 409
    assert api.post(f"{url}/start/").json()["status"] == "active"
    assert api.post(f"{url}/archive/").status_code == 409
    assert api.post(f"{url}/pause/").json()["status"] == "paused"
    refused = api.post(f"{url}/start/")
    assert (refused.status_code, refused.json()["allowed"]) == (409, ["active", "completed"])
    assert api.post(f"{url}/resume/").json()["status"] == "active"
    assert api.post(f"{url}/complete/", {}).json()["status"] == "completed"
    assert api.post(f"{url}/archive/").json()["archived_at"] is not None
    assert api.post(f"{url}/unarchive/").json()["archived_at"] is None


def test_actions__of_an_archived_experiment__are_409_and_say_so(api: APIClient) -> None:
    url = f"{V1}/experiments/{make_experiment(status=Status.PAUSED).key}"
    api.post(f"{url}/archive/")

    for action in ("resume", "complete"):
        problem = api.post(f"{url}/{action}/").json()
        assert (problem["status"], problem["status_now"], problem["allowed"]) == (409, "paused", [])
        assert "is archived; unarchive it first" in problem["detail"]


def test_status_conflict__whatever_was_asked__lists_the_allowed_states(api: APIClient) -> None:
    experiment = make_experiment(status=Status.DRAFT)
    url = f"{V1}/experiments/{experiment.key}"

    refusals = [
        api.post(f"{V1}/events/", {"rows": [row_of(experiment)]}),
        api.post(f"{url}/allocation/"),
        api.post(f"{url}/pause/"),
    ]

    for response in refusals:
        assert (response.status_code, response.json()["allowed"]) == (409, ["active"])


def test_complete__with_a_winner__gives_it_all_traffic_at_once(api: APIClient) -> None:
    experiment = make_running()
    url = f"{V1}/experiments/{experiment.key}"
    api.post(f"{url}/allocation/")

    assert api.post(f"{url}/complete/", {"winner": "control"}).json()["winner"] == "control"
    shares = {s["variant_key"]: s["share"] for s in api.get(f"{url}/allocation/").json()["shares"]}
    assert shares == {"control": 1.0, "variant_b": 0.0}
    assert refused_fields(
        api.post(f"{V1}/experiments/{make_running('Two').key}/complete/", {"winner": "x"})
    ) == ["winner"]


def test_duplicate__copies_variants_and_settings_into_a_draft_without_data(api: APIClient) -> None:
    experiment = make_running(window_days=9)

    response = api.post(f"{V1}/experiments/{experiment.key}/duplicate/")

    answer = response.json()
    assert (response.status_code, answer["status"], answer["name"]) == (201, "draft", "Copy of Button colour")
    assert [v["name"] for v in answer["variants"]] == ["control", "variant_b"]
    assert answer["settings"]["window_days"] == 9
    assert not DailyMetric.objects.filter(variant__experiment_id=answer["id"]).exists()


def test_variants__added_live__start_from_nothing(api: APIClient) -> None:
    experiment = make_running()

    response = api.post(f"{V1}/experiments/{experiment.key}/variants/", {"name": "c"})

    assert response.status_code == 201
    assert api.get(response["Location"]).json()["is_control"] is False


def test_variants__renamed__keep_the_key_and_free_no_name(api: APIClient) -> None:
    experiment = make_running()
    url = f"{V1}/experiments/{experiment.key}/variants/"
    variant = experiment.variants.get(name="variant_b")

    answer = api.patch(f"{url}{variant.pk}/", {"name": "Blue"}).json()

    assert (answer["name"], answer["key"]) == ("Blue", "variant_b")
    assert refused_fields(api.post(url, {"name": "variant_b"})) == ["name"]


@pytest.mark.parametrize(
    "name",
    [
        "Control",
        "control ",
        "ＶＡＲＩＡＮＴ_B",
        "VARIANT_B",
        "control\ufe0f",
        "control\U0001bca0",
        "control\U0001d17a",
        "con\u180etrol",
        "control\U000e0041",
        "c\u034fontrol",
    ],
)
def test_variants__name_that_looks_like_anothers__is_taken(api: APIClient, name: str) -> None:
    experiment = make_running()
    third = add_variant(experiment_id=experiment.pk, name="third", now=NOW)
    Variant.objects.filter(key="variant_b").update(name="Azul")
    url = f"{V1}/experiments/{experiment.key}/variants/"

    answers = [
        api.post(url, {"name": name}),
        api.patch(f"{url}{third.pk}/", {"name": name}),
    ]

    assert [answer.status_code for answer in answers] == [422, 422]
    assert Variant.objects.count() == 3


def test_variants__name_that_differs_in_case_alone__is_its_own_to_take(api: APIClient) -> None:
    variant = make_running().variants.get(name="control")

    answer = api.patch(f"{V1}/experiments/button-colour/variants/{variant.pk}/", {"name": "Control"})

    assert answer.json()["name"] == "Control"


def test_variants__control__moves_in_a_draft_only_and_cannot_be_retired(api: APIClient) -> None:
    draft = api.post(f"{V1}/experiments/", {"name": "D", "variants": [{"name": "a"}, {"name": "b"}]}).json()
    url = f"{V1}/experiments/{draft['key']}"
    a, b = (variant["id"] for variant in draft["variants"])

    assert api.patch(f"{url}/variants/{b}/", {"is_control": True}).json()["is_control"] is True
    assert Variant.objects.get(pk=a).is_control is False
    assert api.patch(f"{url}/variants/{b}/", {"is_active": False}).status_code == 409
    api.post(f"{url}/start/")
    assert api.patch(f"{url}/variants/{a}/", {"is_control": True}).status_code == 409
    assert api.patch(f"{url}/variants/{a}/", {"is_active": False}).json()["is_active"] is False


def test_metrics__filters_and_csv__agree(api: APIClient) -> None:
    experiment = make_running()
    record(experiment, counts("control", 5, 1, date=TODAY - dt.timedelta(days=3)))
    url = f"{V1}/experiments/{experiment.key}/metrics/"

    page = api.get(url, {"variant": "control", "end_date": (TODAY - dt.timedelta(days=1)).isoformat()}).json()
    file = api.get(url, {"variant": "control"}, headers={"Accept": "text/csv"})

    assert [(row["variant_key"], row["impressions"]) for row in page["results"]] == [("control", 5)]
    assert file["Content-Type"] == "text/csv; charset=utf-8"
    lines = b"".join(file.streaming_content).decode().splitlines()  # type: ignore[attr-defined]  # streamed
    assert lines[0] == "experiment_id,date,variant_name,impressions,clicks,conversions"
    assert lines[1:] == [
        f"{experiment.pk},2025-08-29,control,5,1,0",
        f"{experiment.pk},{DAY},control,10000,700,0",
    ]


def test_metrics__options_as_csv__are_reported_all_the_same(api: APIClient) -> None:
    url = f"{V1}/experiments/{make_running().key}/metrics/"

    assert api.options(url, headers={"Accept": "text/csv"}).status_code == 200


@pytest.mark.parametrize("name", ["\u3164", "\u2800\u2800", "\ufe0f", " \U000e0041"])
def test_variants__name_that_shows_nothing__is_refused(api: APIClient, name: str) -> None:
    url = f"{V1}/experiments/{make_running().key}/variants/"

    assert refused_fields(api.post(url, {"name": name})) == ["name"]
    assert api.post(url, {"name": "\u2764\ufe0f"}).status_code == 201
