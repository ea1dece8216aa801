"""/api/v1/ about events, in rows and as files."""

from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from experiments.exceptions import MAX_ISSUES
from experiments.models import DailyMetric
from tests.experiments.api.answers import DAY, V1, refused_fields, row_of
from tests.factory import TODAY, make_experiment, make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]


def test_events__batch_of_two_experiments__is_recorded_whole(api: APIClient) -> None:
    one, two = make_experiment("One"), make_experiment("Two")

    answer = api.post(f"{V1}/events/", {"rows": [row_of(one), row_of(two), row_of(one, "b")]}).json()

    assert (answer["rows"], answer["new_variants"], answer["experiments"]) == (3, 3, 2)
    assert answer["values_capped"] == 0


def test_events__one_bad_row_of_three__names_it_and_writes_none(api: APIClient) -> None:
    one, two = make_experiment("One"), make_experiment("Two")
    rows = [row_of(one), row_of(two, clicks=99), {**row_of(one, "b"), "experiment_id": "no-such"}]

    assert refused_fields(api.post(f"{V1}/events/", {"rows": rows})) == ["rows[2].experiment_id"]
    assert refused_fields(api.post(f"{V1}/events/", {"rows": rows[:2]})) == ["rows[1].clicks"]
    assert not DailyMetric.objects.exists()


def test_events__one_day__is_recorded_and_its_fields_are_named_as_written(api: APIClient) -> None:
    experiment = make_experiment()
    variants = [{"variant_name": name, "impressions": 10, "clicks": 1} for name in ("control", "b")]
    body = {"experiment_id": experiment.key, "date": DAY, "variants": variants}

    answer = api.post(f"{V1}/events/", body).json()

    assert (answer["rows"], answer["new_variants"], answer["experiments"]) == (2, 2, 1)
    assert refused_fields(api.post(f"{V1}/events/", {**body, "experiment_id": "no-such"})) == [
        "experiment_id"
    ]
    variants[1]["clicks"] = 11
    assert refused_fields(api.post(f"{V1}/events/", body)) == ["variants[1].clicks"]
    variants[1]["clicks"] = -1
    assert refused_fields(api.post(f"{V1}/events/", body)) == ["variants[1].clicks"]
    assert api.post(f"{V1}/events/", {**body, "mode": "add"}).status_code == 422


@pytest.mark.parametrize("count", [{}, {"variant_name": "a", "impressions": 1, "clicks": 1}])
def test_events__day_without_its_variants__is_told_where_they_go(
    api: APIClient, count: dict[str, object]
) -> None:
    response = api.post("/api/v1/events/", {"experiment_id": "x", "date": "2025-09-01", **count})

    said = {issue["field"]: issue["message"] for issue in response.json()["errors"]}
    assert (response.status_code, said.pop("variants")) == (422, "This field is required.")
    fields = "the fields are mode, new_variants, experiment_id, date, variants"
    assert said == dict.fromkeys(count, f"Unknown field; {fields}.")


def test_events__more_than_ten_thousand_rows__are_refused_with_the_bound(api: APIClient) -> None:
    response = api.post(f"{V1}/events/", {"rows": [row_of(make_experiment())] * 10_001})

    assert refused_fields(response) == ["rows"]
    assert "10,000" in response.json()["detail"]


def test_events__add_without_a_key__is_refused(api: APIClient) -> None:
    response = api.post(f"{V1}/events/", {"mode": "add", "rows": [row_of(make_experiment())]})

    assert response.json()["code"] == "idempotency_key_required"


def test_events__add_with_keys__adds_once_for_each_key(api: APIClient) -> None:
    experiment = make_experiment()
    body = {"mode": "add", "rows": [row_of(experiment, impressions=10, clicks=2)]}

    first = api.post(f"{V1}/events/", body, headers={"Idempotency-Key": "one"})
    again = api.post(f"{V1}/events/", body, headers={"Idempotency-Key": "one"})
    other = api.post(f"{V1}/events/", body, headers={"Idempotency-Key": "two"})

    assert first.json() == again.json()
    assert ("Idempotent-Replayed" in first, again["Idempotent-Replayed"]) == (False, "true")
    assert "Idempotent-Replayed" not in other
    assert DailyMetric.objects.values_list("impressions", "clicks").get() == (20, 4)


def _csv(api: APIClient, text: str, **query: str) -> Any:
    file = SimpleUploadedFile("d.csv", text.encode())
    url = f"{V1}/events/csv/?{urlencode(query)}"
    return api.post(url, {"file": file}, format="multipart")


def test_csv__bad_row__rejects_the_file_by_line_or_skips_it(api: APIClient) -> None:
    experiment = make_experiment()
    rows = f"{experiment.key},{DAY},a,5,1\n{experiment.key},{DAY},b,1,5\n"
    text = f"experiment_id,date,variant_name,impressions,clicks\n{rows}"

    assert refused_fields(_csv(api, text)) == ["line 3, clicks"]
    assert not DailyMetric.objects.exists()
    report = _csv(api, text, on_error="skip").json()
    assert (report["processed_rows"], report["issues"][0]["line"]) == (1, 3)


def _upload_with_key(api: APIClient, text: str, boundary: str) -> Any:
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="d.csv"\r\n'
        f"Content-Type: text/csv\r\n\r\n{text}\r\n--{boundary}--\r\n"
    )
    kind, key = f"multipart/form-data; boundary={boundary}", {"Idempotency-Key": "k"}
    return api.generic("POST", f"{V1}/events/csv/", body, content_type=kind, headers=key)


def test_csv__sent_again_with_a_key__is_replayed_whatever_boundary_it_is_packed_with(api: APIClient) -> None:
    experiment = make_experiment()
    text = f"experiment_id,date,variant_name,impressions,clicks\n{experiment.key},{DAY},a,5,1\n"

    first, again = _upload_with_key(api, text, "one"), _upload_with_key(api, text, "two")
    other = _upload_with_key(api, text.replace("5,1", "6,1"), "one")

    assert first.status_code == 200
    assert (again.json(), again["Idempotent-Replayed"]) == (first.json(), "true")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_csv__hundreds_of_bad_rows__are_all_reported(api: APIClient) -> None:
    keys = [make_experiment().key for _ in range(6)]
    rows = "".join(f"{keys[n % 6]},{DAY},v{n},1,5\n" for n in range(300))
    text = f"experiment_id,date,variant_name,impressions,clicks\n{rows}"

    refused = _csv(api, text)

    assert refused_fields(refused) == [f"line {line}, clicks" for line in range(2, 302)]
    assert refused.json()["total_issues"] == 300

    nothing = _csv(api, text, on_error="skip")
    assert (nothing.status_code, nothing.json()["total_issues"]) == (422, 300)


@pytest.mark.parametrize(
    ("form", "code", "said"),
    [
        (
            {"new_variant": "refuse"},
            "unknown_field",
            "the fields are file, on_error, blank, repeated, new_va",
        ),
        ({"on_eror": "skip"}, "unknown_field", "Unknown field; the fields are file, on_error, "),
        (
            {"files": SimpleUploadedFile("d.csv", b"")},
            "unknown_field",
            "Unknown field; the fields are file, ",
        ),
        ({"on_error": ["skip", "reject"]}, "repeated", "Sent 2 times; send it once."),
    ],
)
def test_csv__field_of_the_form_that_is_unknown_or_repeated__is_refused_and_nothing_recorded(
    api: APIClient, form: dict[str, Any], code: str, said: str
) -> None:
    text = f"experiment_id,date,variant_name,impressions,clicks\n{make_experiment().key},{DAY},a,5,1\n"
    file = SimpleUploadedFile("d.csv", text.encode())

    refused = api.post(f"{V1}/events/csv/", {"file": file, **form}, format="multipart")

    assert refused.status_code == 422
    (issue,) = refused.json()["errors"]
    assert (issue["field"], issue["code"]) == (*form, code)
    assert said in issue["message"]
    assert not DailyMetric.objects.exists()


def test_csv__two_files__are_refused(api: APIClient) -> None:
    text = f"experiment_id,date,variant_name,impressions,clicks\n{make_experiment().key},{DAY},a,5,1\n"
    files = [SimpleUploadedFile(name, text.encode()) for name in ("a.csv", "b.csv")]

    refused = api.post(f"{V1}/events/csv/", {"file": files}, format="multipart")

    assert refused.json()["errors"] == [
        {"field": "file", "code": "repeated", "message": "Sent 2 times; send it once."}
    ]
    assert not DailyMetric.objects.exists()


@pytest.mark.parametrize("bad", ["1,5", "x,5", "x,y"])  # one problem in a row, or two
@pytest.mark.parametrize("on_error", ["reject", "skip"])
def test_csv__more_problems_than_are_described__numbers_agree(
    api: APIClient, bad: str, on_error: str
) -> None:
    key = make_experiment().key
    rows = f"{key},{DAY},a,{bad}\n" * (MAX_ISSUES + 5)

    refused = _csv(
        api, f"experiment_id,date,variant_name,impressions,clicks\n{rows}", on_error=on_error
    ).json()

    assert len(refused["errors"]) == MAX_ISSUES
    assert refused["detail"].endswith(f"; and {refused['total_issues'] - 3:,} more")
    if on_error == "reject":
        assert refused["total_issues"] == MAX_ISSUES
        assert "rows after this line were not read" in refused["errors"][-1]["message"]
    else:
        assert refused["total_issues"] > MAX_ISSUES


def test_csv__choices__in_the_query_or_the_form_mean_the_same(api: APIClient) -> None:
    experiment = make_experiment()
    text = (
        "Cost,experiment_id,date,variant_name,impressions,clicks,conversions\n"
        f"1,{experiment.key},{DAY},a,5,1,\n1,{experiment.key},{DAY},b,5,1,0\n1,{experiment.key},{DAY},b,6,1,0\n"
    )
    url, choices = f"{V1}/events/csv/", {"blank": "skip", "repeated": "sum"}

    by_form = api.post(
        url, {"file": SimpleUploadedFile("d.csv", text.encode()), **choices}, format="multipart"
    )
    query = "&".join("=".join(pair) for pair in choices.items())
    by_query = api.post(
        f"{url}?{query}", {"file": SimpleUploadedFile("d.csv", text.encode())}, format="multipart"
    )

    answers = [by_form.json(), by_query.json()]
    assert [answer.pop("new_variants") for answer in answers] == [["b"], []]
    assert answers[0] == answers[1]
    assert (answers[0]["processed_rows"], answers[0]["blank_rows_skipped"]) == (2, 1)
    assert answers[0]["ignored_columns"] == ["Cost"]


@pytest.mark.parametrize("rows", ["", "{key},{day},a,5,9\n"], ids=["no row", "a bad row"])
def test_csv__nothing_to_load__is_422_whatever_is_skipped(api: APIClient, rows: str) -> None:
    text = "experiment_id,date,variant_name,impressions,clicks\n" + rows.format(
        key=make_experiment().key, day=DAY
    )

    assert _csv(api, text, on_error="skip").status_code == 422


@pytest.mark.parametrize("choice", [{"blank": "maybe"}, {"repeated": "first"}, {"new_variants": "no"}])
def test_csv__unknown_choice__is_refused_by_name(api: APIClient, choice: dict[str, str]) -> None:
    file = SimpleUploadedFile("d.csv", b"x")

    assert refused_fields(
        api.post(f"{V1}/events/csv/", {"file": file, **choice}, format="multipart")
    ) == list(choice)


def test_events__new_variants__are_named_or_refused(api: APIClient) -> None:
    experiment = make_running()
    day = {"experiment_id": experiment.key, "date": DAY}
    row = {"variant_name": "green", "impressions": 10, "clicks": 1}

    refused = api.post(f"{V1}/events/", {**day, "variants": [row], "new_variants": "refuse"}, format="json")
    made = api.post(f"{V1}/events/", {"rows": [{**day, **row}]}, format="json").json()

    assert refused_fields(refused) == ["variants[0].variant_name"]
    assert (made["new_variants"], made["new_variant_names"]) == (1, ["green"])


def test_events__name_that_looks_like_a_known_one__is_refused_with_it_named(api: APIClient) -> None:
    day = {"experiment_id": make_running().key, "date": DAY}
    row = {"variant_name": "CONTROL", "impressions": 10, "clicks": 1}

    refused = api.post(f"{V1}/events/", {"rows": [{**day, **row}]}, format="json")

    assert refused_fields(refused) == ["rows[0].variant_name"]
    assert "write 'control'" in refused.json()["errors"][0]["message"]


def test_template__is_what_the_upload_takes(api: APIClient) -> None:
    assert (
        api.get(f"{V1}/events/template.csv").content.decode().startswith("experiment_id,date,variant_name,")
    )


def test_csv__single_orders__are_added_up_beside_the_days_totals(api: APIClient) -> None:
    experiment = make_running(value_cap=20)
    place = f"{experiment.key},{TODAY},control"
    text = f"experiment_id,date,variant_name,value\n{place},12.5\n{place},30\n"

    report = _csv(api, text).json()

    assert (report["processed_rows"], report["has_orders"], report["values_capped"]) == (2, True, 1)
    rows = api.get(f"{V1}/experiments/{experiment.key}/metrics/", {"variant": "control"}).json()["results"]
    assert [(row["impressions"], row["conversions"], row["value_sum"]) for row in rows] == [(10000, 2, 32.5)]


def test_csv__order_of_day_and_month__is_refused_said_or_shown_by_another_date(api: APIClient) -> None:
    experiment = make_running()
    head = "experiment_id,date,variant_name,impressions,clicks\n"
    text = f"{head}{experiment.key},01/03/2025,green,10,1\n"

    refused = _csv(api, text)
    said = _csv(api, text, date_order="month_first").json()
    shown = _csv(api, f"{text}{experiment.key},13/03/2025,green,10,1\n").json()

    assert refused_fields(refused) == ["line 2, date"]
    assert "date_order=day_first" in refused.json()["errors"][0]["message"]
    assert (said["processed_rows"], said["date_order"], said["date_order_shown_by"]) == (1, "month_first", "")
    assert (shown["processed_rows"], shown["date_order"]) == (2, "day_first")
    assert shown["date_order_shown_by"] == "13/03/2025"
    rows = api.get(f"{V1}/experiments/{experiment.key}/metrics/", {"variant": "green"}).json()["results"]
    assert sorted(row["date"] for row in rows) == ["2025-01-03", "2025-03-01", "2025-03-13"]
