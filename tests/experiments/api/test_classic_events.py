"""The classic calls about events, in rows and as files."""

import datetime as dt
import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from pytest_django import Settings
from rest_framework.test import APIClient

from experiments.models import DailyMetric, Experiment, Status, Variant
from tests.conftest import ROOT
from tests.experiments.api.classic_answers import DAY, problem_of, refused_fields
from tests.factory import TODAY, counts, make_experiment, make_running, record

_ONCE = ": count at most one for each impression, on the impression's day"

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]


def event_of(experiment: Experiment, **changes: Any) -> dict[str, Any]:
    variant = {"variant_name": "control", "impressions": 10, "clicks": 3, "conversions": 1}
    body: dict[str, Any] = {"experiment_id": experiment.pk, "date": DAY, "variants": [variant]}
    variant.update({k: v for k, v in changes.items() if k in variant})
    body.update({k: v for k, v in changes.items() if k not in variant})
    return body


@pytest.mark.parametrize("slash", ["", "/"])
def test_post_events__list_of_variants__counts_are_stored(api: APIClient, slash: str) -> None:
    experiment = make_experiment()

    response = api.post(f"/events{slash}", event_of(experiment))

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
    body = json.dumps(event_of(make_experiment(), **changes))

    response = api.generic("POST", "/events", body, content_type="application/json")

    assert refused_fields(response) == [field]
    assert not Variant.objects.exists()


def test_post_events__unknown_field_in_a_variant__is_named(api: APIClient) -> None:
    body = event_of(make_experiment())
    body["variants"][0]["views"] = 3

    assert refused_fields(api.post("/events", body)) == ["variants[0].views"]


def test_post_events__second_variant_bad__nothing_is_written(api: APIClient) -> None:
    body = event_of(make_experiment())
    body["variants"].append({"variant_name": "b", "impressions": 1, "clicks": 2})

    assert refused_fields(api.post("/events", body)) == ["variants[1].clicks"]
    assert not DailyMetric.objects.exists()


def test_post_events__variant_twice__is_named(api: APIClient) -> None:
    body = event_of(make_experiment())
    body["variants"].append(dict(body["variants"][0]))

    assert refused_fields(api.post("/events", body)) == ["variants[1].variant_name"]


def test_post_events__flat_and_bad__names_the_field_without_a_list(api: APIClient) -> None:
    experiment = make_experiment()
    flat = {"experiment_id": experiment.pk, "date": DAY, "variant_name": "a", "impressions": 1, "clicks": 2}

    assert refused_fields(api.post("/events", flat)) == ["clicks"]


def test_post_events__variant_101__names_it(api: APIClient) -> None:
    experiment = make_experiment()
    record(experiment, *(counts(f"v{n}", 10, 1) for n in range(100)))

    assert refused_fields(api.post("/events", event_of(experiment))) == ["variants[0].variant_name"]


def test_post_events__unknown_experiment__is_404_and_names_the_field(api: APIClient) -> None:
    body = {**event_of(make_experiment()), "experiment_id": 10**15}

    assert problem_of(api.post("/events", body), 404)["field"] == "experiment_id"


def test_post_events__completed_experiment__is_409(api: APIClient) -> None:
    experiment = make_experiment(status=Status.COMPLETED)

    assert problem_of(api.post("/events", event_of(experiment)), 409)["status_now"] == "completed"


def test_post_events__known_variants__at_most_four_queries(
    api: APIClient, django_assert_max_num_queries: Any
) -> None:
    experiment = make_running()
    body = event_of(experiment)
    # the two of the savepoint that stands for the transaction are not counted by the limit of 4
    with django_assert_max_num_queries(4 + 2):
        assert api.post("/events", body).status_code == 200


@pytest.mark.parametrize("raw", [b"{broken", b"[" * 100_000, b"\xff\xfe", b'{"a": 1}}', b"1" * 5000])
def test_post_events__broken_json__is_400(api: APIClient, raw: Any) -> None:
    response = api.generic("POST", "/events", raw, content_type="application/json")

    assert problem_of(response, 400)["code"] == "parse_error"


@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b'"x"', b"5"])
def test_post_events__json_that_is_no_object__is_422(api: APIClient, raw: Any) -> None:
    problem_of(api.generic("POST", "/events", raw, content_type="application/json"), 422)


def test_post_events__wrong_content_type__is_415(api: APIClient) -> None:
    problem_of(api.generic("POST", "/events", "a=1", content_type="application/x-www-form-urlencoded"), 415)


def test_post_events__body_over_the_limit__is_413(api: APIClient, settings: Settings) -> None:
    settings.MAX_BODY_BYTES = 1024

    response = api.generic("POST", "/events", " " * 1025, content_type="application/json")

    assert "1,024" in problem_of(response, 413)["detail"]


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
    assert body["errors"][0] == "line 2, clicks: clicks (2) must not exceed impressions (1)" + _ONCE


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
    assert refused_fields(api.post("/upload-data", {}, format="multipart")) == ["file"]


def test_upload_data__not_text__is_422(api: APIClient) -> None:
    image = SimpleUploadedFile("d.csv", b"\x89PNG\r\n\x1a\n\x00\xff")

    assert refused_fields(api.post("/upload-data", {"file": image}, format="multipart")) == ["file"]


def test_upload_data__json__is_415(api: APIClient) -> None:
    problem_of(api.post("/upload-data", {}), 415)


@pytest.mark.parametrize("slash", ["", "/"])
def test_download_template__uploaded_again__is_taken_whole(api: APIClient, slash: str) -> None:
    response = api.get(f"/download-template{slash}")
    experiment = make_experiment()
    text = response.content.decode().replace("\r\n1,", f"\r\n{experiment.pk},")

    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert _upload(api, text).json()["processed_rows"] == 2


def test_sample_data__is_the_format_of_the_template(api: APIClient) -> None:
    sample = (ROOT / "benchmarks/data/sample_daily_metrics.csv").read_text().splitlines()

    assert sample[0] == api.get("/download-template").content.decode().splitlines()[0]


def test_post_events__a_hundred_thousand_variants__are_refused_without_looking_at_each(
    api: APIClient,
) -> None:
    body = {**event_of(make_experiment()), "variants": [{}] * 100_000}

    response = api.post("/events", body)

    assert refused_fields(response) == ["variants"]
    assert "100,000" in response.json()["detail"]


def test_post_events__every_field_wrong__names_all_of_them_at_once(api: APIClient) -> None:
    body = {"experiment_id": True, "date": "x", "variants": [{"variant_name": "", "views": 1}], "note": 1}

    fields = set(refused_fields(api.post("/events", body)))

    assert fields == {
        "experiment_id",
        "date",
        "note",
        "variants[0].variant_name",
        "variants[0].impressions",
        "variants[0].clicks",
        "variants[0].views",
    }
