import datetime as dt
import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from pytest_django import Settings
from rest_framework.test import APIClient

from experiments.models import DailyMetric, Experiment, Status, Variant
from tests.conftest import ROOT
from tests.factory import TODAY, counts, make_experiment, make_running, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

DAY = TODAY.isoformat()


def _event(experiment: Experiment, **changes: Any) -> dict[str, Any]:
    variant = {"variant_name": "control", "impressions": 10, "clicks": 3, "conversions": 1}
    body: dict[str, Any] = {"experiment_id": experiment.pk, "date": DAY, "variants": [variant]}
    variant.update({k: v for k, v in changes.items() if k in variant})
    body.update({k: v for k, v in changes.items() if k not in variant})
    return body


def _problem(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = json.loads(response.content)
    assert {"type", "title", "status", "detail"} <= body.keys()
    assert body["status"] == status
    return body


def _fields(response: Any) -> list[str]:
    return [issue["field"] for issue in _problem(response, 422)["errors"]]


@pytest.mark.parametrize("slash", ["", "/"])
def test_post_experiments__name_and_description__answers_the_active_experiment(
    api: APIClient, slash: str
) -> None:
    response = api.post(f"/experiments{slash}", {"name": "Button", "description": "Green?"})

    assert response.status_code == 200
    body = response.json()
    assert body == {
        "id": Experiment.objects.get().pk,
        "name": "Button",
        "description": "Green?",
        "status": "active",
        "created_at": "2025-09-01T12:00:00+00:00",
        "metrics": [],
    }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": 5}, "name"),
        ({"name": "a\u0000b"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"name": "x", "owner": "me"}, "owner"),
        ({"name": "x", "description": "y" * 5001}, "description"),
        ([], ""),
    ],
)
def test_post_experiments__bad_body__names_the_field(api: APIClient, body: Any, field: str) -> None:
    response = api.generic("POST", "/experiments", json.dumps(body), content_type="application/json")

    assert _fields(response) == [field]
    assert not Experiment.objects.exists()


@pytest.mark.parametrize("slash", ["", "/"])
def test_get_experiments__with_data__is_a_plain_list_with_daily_rows(api: APIClient, slash: str) -> None:
    experiment = make_experiment("Button")
    record(experiment, counts("control", 1000, 50, 5), counts("b", 0, 0))

    body = api.get(f"/experiments{slash}").json()

    assert [entry["id"] for entry in body] == [experiment.pk]
    assert body[0]["metrics"] == [
        {
            "date": DAY,
            "variant_name": "control",
            "impressions": 1000,
            "clicks": 50,
            "conversions": 5,
            "ctr": 0.05,
        },
        {"date": DAY, "variant_name": "b", "impressions": 0, "clicks": 0, "conversions": 0, "ctr": 0.0},
    ]


def test_get_experiments__limit_and_offset__cut_a_page(api: APIClient) -> None:
    made = [make_experiment(f"E{n}").pk for n in range(4)]

    body = api.get("/experiments", {"limit": 2, "offset": 1}).json()

    assert [entry["id"] for entry in body] == made[::-1][1:3]


def test_get_experiments__fifty_with_data__two_queries(
    api: APIClient, django_assert_num_queries: Any
) -> None:
    for n in range(50):
        make_running(f"E{n}")

    with django_assert_num_queries(2):
        first = api.get("/experiments").json()
    with django_assert_num_queries(1):
        assert api.get("/experiments").json() == first
    assert len(first) == 50


def test_get_experiments__new_day_or_new_name__is_seen_at_once(api: APIClient) -> None:
    experiment = make_running()
    api.get("/experiments")
    record(experiment, counts("c", 7, 1))
    assert api.get("/experiments").json()[0]["metrics"][-1]["variant_name"] == "c"

    variant = experiment.variants.get(name="c")
    api.patch(f"/api/v1/experiments/{experiment.key}/variants/{variant.pk}/", {"name": "d"})

    assert api.get("/experiments").json()[0]["metrics"][-1]["variant_name"] == "d"


@pytest.mark.parametrize("query", [{"limit": "x"}, {"limit": 0}, {"limit": 1001}, {"offset": -1}])
def test_get_experiments__bad_page__names_the_field(api: APIClient, query: dict[str, Any]) -> None:
    assert _fields(api.get("/experiments", query)) == list(query)


@pytest.mark.parametrize("slash", ["", "/"])
def test_get_experiment__by_id_and_by_key__is_the_same(api: APIClient, slash: str) -> None:
    experiment = make_running("Button")

    by_id = api.get(f"/experiments/{experiment.pk}{slash}").json()

    assert by_id == api.get(f"/experiments/{experiment.key}{slash}").json()
    assert len(by_id["metrics"]) == 2


@pytest.mark.parametrize("reference", ["999", "no-such", "9" * 30, "%00", "%F0%9F%92%A9", "-1", "1.5"])
def test_get_experiment__unknown__is_404(api: APIClient, reference: str) -> None:
    assert _problem(api.get(f"/experiments/{reference}"), 404)["code"] == "experiment_not_found"


@pytest.mark.parametrize("slash", ["", "/"])
def test_post_events__list_of_variants__counts_are_stored(api: APIClient, slash: str) -> None:
    experiment = make_experiment()

    response = api.post(f"/events{slash}", _event(experiment))

    assert (response.status_code, response.json()) == (
        200, {"status": "success", "variants_processed": 1, "new_variants": ["control"]},
    )  # fmt: skip
    assert DailyMetric.objects.get().impressions == 10


def test_post_events__one_variant_flat__counts_are_stored_and_conversions_are_0(api: APIClient) -> None:
    experiment = make_experiment()
    flat = {
        "experiment_id": experiment.key,
        "date": DAY,
        "variant_name": "control",
        "impressions": 10,
        "clicks": 3,
    }

    response = api.post("/events", flat)

    assert response.json() == {"status": "success", "variants_processed": 1, "new_variants": ["control"]}
    assert DailyMetric.objects.get().conversions == 0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"clicks": 11}, "variants[0].clicks"),
        ({"conversions": 11}, "variants[0].conversions"),
        ({"impressions": -1}, "variants[0].impressions"),
        ({"clicks": 1.5}, "variants[0].clicks"),
        ({"impressions": 10**12 + 1}, "variants[0].impressions"),
        ({"impressions": 10**40}, "variants[0].impressions"),
        ({"impressions": "ten"}, "variants[0].impressions"),
        ({"impressions": "10"}, "variants[0].impressions"),
        ({"impressions": True}, "variants[0].impressions"),
        ({"impressions": None}, "variants[0].impressions"),
        ({"impressions": float("nan")}, "variants[0].impressions"),
        ({"impressions": float("inf")}, "variants[0].impressions"),
        ({"variant_name": ""}, "variants[0].variant_name"),
        ({"variant_name": ["a"]}, "variants[0].variant_name"),
        ({"date": "14.08.2025"}, "date"),
        ({"date": "2025-02-30"}, "date"),
        ({"date": "2025-8-1"}, "date"),
        ({"date": "20250801"}, "date"),
        ({"date": 20250801}, "date"),
        ({"date": (TODAY + dt.timedelta(days=2)).isoformat()}, "date"),
        ({"date": "0001-01-01"}, "date"),
        ({"variants": []}, "variants"),
        ({"variants": "all"}, "variants"),
        ({"variants": [1]}, "variants[0]"),
        ({"note": "x"}, "note"),
        ({"experiment_id": None}, "experiment_id"),
        ({"experiment_id": True}, "experiment_id"),
        ({"experiment_id": 1.5}, "experiment_id"),
        ({"experiment_id": "\ud800"}, "experiment_id"),
    ],
    ids=str,
)
def test_post_events__bad_value__names_the_field_and_writes_nothing(
    api: APIClient, changes: dict[str, Any], field: str
) -> None:
    body = json.dumps(_event(make_experiment(), **changes))

    response = api.generic("POST", "/events", body, content_type="application/json")

    assert _fields(response) == [field]
    assert not Variant.objects.exists()


def test_post_events__unknown_field_in_a_variant__is_named(api: APIClient) -> None:
    body = _event(make_experiment())
    body["variants"][0]["views"] = 3

    assert _fields(api.post("/events", body)) == ["variants[0].views"]


def test_post_events__second_variant_bad__nothing_is_written(api: APIClient) -> None:
    body = _event(make_experiment())
    body["variants"].append({"variant_name": "b", "impressions": 1, "clicks": 2})

    assert _fields(api.post("/events", body)) == ["variants[1].clicks"]
    assert not DailyMetric.objects.exists()


def test_post_events__variant_twice__is_named(api: APIClient) -> None:
    body = _event(make_experiment())
    body["variants"].append(dict(body["variants"][0]))

    assert _fields(api.post("/events", body)) == ["variants[1].variant_name"]


def test_post_events__flat_and_bad__names_the_field_without_a_list(api: APIClient) -> None:
    experiment = make_experiment()
    flat = {"experiment_id": experiment.pk, "date": DAY, "variant_name": "a", "impressions": 1, "clicks": 2}

    assert _fields(api.post("/events", flat)) == ["clicks"]


def test_post_events__variant_101__names_it(api: APIClient) -> None:
    experiment = make_experiment()
    record(experiment, *(counts(f"v{n}", 10, 1) for n in range(100)))

    assert _fields(api.post("/events", _event(experiment))) == ["variants[0].variant_name"]


def test_post_events__unknown_experiment__is_404_and_names_the_field(api: APIClient) -> None:
    body = {**_event(make_experiment()), "experiment_id": 10**15}

    assert _problem(api.post("/events", body), 404)["field"] == "experiment_id"


def test_post_events__completed_experiment__is_409(api: APIClient) -> None:
    experiment = make_experiment(status=Status.COMPLETED)

    assert _problem(api.post("/events", _event(experiment)), 409)["status_now"] == "completed"


def test_post_events__known_variants__at_most_four_queries(
    api: APIClient, django_assert_max_num_queries: Any
) -> None:
    experiment = make_running()
    body = _event(experiment)
    # the two of the savepoint that stands for the transaction are not counted by the limit of 4
    with django_assert_max_num_queries(4 + 2):
        assert api.post("/events", body).status_code == 200


@pytest.mark.parametrize("raw", [b"{broken", b"[" * 100_000, b"\xff\xfe", b'{"a": 1}}', b"1" * 5000])
def test_post_events__broken_json__is_400(api: APIClient, raw: Any) -> None:
    response = api.generic("POST", "/events", raw, content_type="application/json")

    assert _problem(response, 400)["code"] == "parse_error"


@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b'"x"', b"5"])
def test_post_events__json_that_is_no_object__is_422(api: APIClient, raw: Any) -> None:
    _problem(api.generic("POST", "/events", raw, content_type="application/json"), 422)


def test_post_events__wrong_content_type__is_415(api: APIClient) -> None:
    _problem(api.generic("POST", "/events", "a=1", content_type="application/x-www-form-urlencoded"), 415)


def test_post_events__body_over_the_limit__is_413(api: APIClient, settings: Settings) -> None:
    settings.MAX_BODY_BYTES = 1024

    response = api.generic("POST", "/events", " " * 1025, content_type="application/json")

    assert "1,024" in _problem(response, 413)["detail"]


@pytest.mark.parametrize("path", ["/events", "/reset_data", "/upload-data"])
def test_classic_api__get_of_a_write__is_405_with_allow(api: APIClient, path: str) -> None:
    response = api.get(path)

    assert set(response["Allow"].split(", ")) == {"POST", "OPTIONS"}
    _problem(response, 405)


def _upload(api: APIClient, text: str, slash: str = "") -> Any:
    return api.post(
        f"/upload-data{slash}", {"file": SimpleUploadedFile("d.csv", text.encode())}, format="multipart"
    )


@pytest.mark.parametrize("slash", ["", "/"])
def test_upload_data__good_rows__are_stored(api: APIClient, slash: str) -> None:
    experiment = make_experiment()

    response = _upload(
        api,
        "experiment_id,date,variant_name,impressions,clicks,conversions\n"
        f"{experiment.pk},2025-08-14,control,100,10,1\n{experiment.pk},2025-08-14,b,100,12,1\n",
        slash,
    )

    assert response.json() == {
        "status": "success",
        "processed_rows": 2,
        "total_rows": 2,
        "errors": [],
        "total_errors": 0,
        "experiment_ids": [experiment.pk],
        "new_variants": ["control", "b"],
        "ignored_columns": [],
        "values_capped": 0,
    }


def test_upload_data__bad_rows__are_skipped_and_the_first_ten_reported(api: APIClient) -> None:
    experiment = make_experiment()
    bad = "".join(f"{experiment.pk},2025-08-{day:02},control,1,2,0\n" for day in range(1, 13))

    body = _upload(
        api,
        f"experiment_id,date,variant_name,impressions,clicks,conversions\n{bad}{experiment.pk},2025-08-20,b,5,1,0\n",
    ).json()

    assert (body["status"], body["processed_rows"], body["total_rows"]) == ("partial_success", 1, 13)
    assert (len(body["errors"]), body["total_errors"]) == (10, 12)
    assert body["errors"][0] == "line 2, clicks: clicks (2) must not exceed impressions (1)"


def test_upload_data__only_a_header__says_why_nothing_was_loaded(api: APIClient) -> None:
    body = _upload(api, "experiment_id,date,variant_name,impressions,clicks\n").json()

    assert (body["status"], body["total_errors"]) == ("error", 1)
    assert body["errors"] == ["the file holds no row under its header"]


def test_upload_data__nothing_loaded__is_200_with_status_error(api: APIClient) -> None:
    response = _upload(
        api, f"experiment_id,date,variant_name,impressions,clicks\n{make_experiment().pk},11/01/2026,a,5,1\n"
    )

    body = response.json()
    assert (response.status_code, body["status"], body["processed_rows"]) == (200, "error", 0)


def test_upload_data__no_file__is_422_and_names_it(api: APIClient) -> None:
    assert _fields(api.post("/upload-data", {}, format="multipart")) == ["file"]


def test_upload_data__not_text__is_422(api: APIClient) -> None:
    image = SimpleUploadedFile("d.csv", b"\x89PNG\r\n\x1a\n\x00\xff")

    assert _fields(api.post("/upload-data", {"file": image}, format="multipart")) == ["file"]


def test_upload_data__json__is_415(api: APIClient) -> None:
    _problem(api.post("/upload-data", {}), 415)


@pytest.mark.parametrize("slash", ["", "/"])
def test_download_template__uploaded_again__is_taken_whole(api: APIClient, slash: str) -> None:
    response = api.get(f"/download-template{slash}")
    experiment = make_experiment()
    text = response.content.decode().replace("\r\n1,", f"\r\n{experiment.pk},")

    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert _upload(api, text).json()["processed_rows"] == 2


@pytest.mark.parametrize("slash", ["", "/"])
def test_reset_data__allowed__deletes_everything(api: APIClient, settings: Settings, slash: str) -> None:
    settings.ALLOW_RESET = True
    make_running()

    response = api.post(f"/reset_data{slash}")

    assert response.status_code == 200
    assert "message" in response.json()
    assert not Experiment.objects.exists()


def test_reset_data__not_allowed__is_403_and_keeps_everything(api: APIClient, settings: Settings) -> None:
    settings.ALLOW_RESET = False
    make_running()

    assert "ALLOW_RESET" in _problem(api.post("/reset_data"), 403)["detail"]
    assert Experiment.objects.exists()


def test_sample_data__is_the_format_of_the_template(api: APIClient) -> None:
    sample = (ROOT / "benchmarks/data/sample_daily_metrics.csv").read_text().splitlines()

    assert sample[0] == api.get("/download-template").content.decode().splitlines()[0]


def test_post_events__a_hundred_thousand_variants__are_refused_without_looking_at_each(
    api: APIClient,
) -> None:
    body = {**_event(make_experiment()), "variants": [{}] * 100_000}

    response = api.post("/events", body)

    assert _fields(response) == ["variants"]
    assert "100,000" in response.json()["detail"]


def test_post_events__every_field_wrong__names_all_of_them_at_once(api: APIClient) -> None:
    body = {"experiment_id": True, "date": "x", "variants": [{"variant_name": "", "views": 1}], "note": 1}

    fields = set(_fields(api.post("/events", body)))

    assert fields == {
        "experiment_id",
        "date",
        "note",
        "variants[0].variant_name",
        "variants[0].impressions",
        "variants[0].clicks",
        "variants[0].views",
    }


@pytest.mark.parametrize("path", ["/events", "/experiments", "/api/v1/events/", "/api/v1/experiments/"])
def test_writes__half_a_surrogate_pair_as_a_field__is_refused_and_escaped(api: APIClient, path: str) -> None:
    response = api.generic("POST", path, '{"\\ud800": 1}', content_type="application/json")

    assert "\\ud800" in _fields(response)


@pytest.mark.parametrize("length", ["²", "-5", "ten", "99999999999999999999"])
def test_content_length__malformed__is_no_server_error(api: APIClient, length: str) -> None:
    response = api.generic("POST", "/events", "{}", content_type="application/json", CONTENT_LENGTH=length)

    assert 400 <= response.status_code < 500


def test_unknown_path__post__is_404_as_json(api: APIClient) -> None:
    assert _problem(APIClient(enforce_csrf_checks=True).post("/event", {}), 404)["code"] == "not_found"
