"""/api/v1/ about experiments, variants, metrics and events."""

import datetime as dt
import io
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError, connection
from rest_framework.test import APIClient

from experiments.api.idempotency import KEPT_FOR, prune_idempotent_answers
from experiments.models import DailyMetric, Experiment, IdempotentAnswer, Status, Variant
from experiments.variants import add_variant
from tests.factory import NOW, TODAY, counts, make_experiment, make_running, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

V1 = "/api/v1"
DAY = TODAY.isoformat()


def _row(
    experiment: Experiment, name: str = "control", impressions: int = 10, clicks: int = 1
) -> dict[str, Any]:
    place = {"experiment_id": experiment.key, "date": DAY, "variant_name": name}
    return {**place, "impressions": impressions, "clicks": clicks}


def _fields(response: Any) -> list[str]:
    assert response.status_code == 422, response.content
    return [issue["field"] for issue in response.json()["errors"]]


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
    assert _fields(api.post(f"{V1}/experiments/", {"name": "Button", **changes})) == [field]
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
        api.post(f"{V1}/events/", {"rows": [_row(experiment)]}),
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
    assert _fields(api.post(f"{V1}/experiments/{make_running('Two').key}/complete/", {"winner": "x"})) == [
        "winner"
    ]


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
    assert _fields(api.post(url, {"name": "variant_b"})) == ["name"]


@pytest.mark.parametrize("name", ["Control", "control ", "ＶＡＲＩＡＮＴ_B", "VARIANT_B"])
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


def test_metrics__options_as_csv__are_told_all_the_same(api: APIClient) -> None:
    url = f"{V1}/experiments/{make_running().key}/metrics/"

    assert api.options(url, headers={"Accept": "text/csv"}).status_code == 200


def test_events__batch_of_two_experiments__is_recorded_whole(api: APIClient) -> None:
    one, two = make_experiment("One"), make_experiment("Two")

    answer = api.post(f"{V1}/events/", {"rows": [_row(one), _row(two), _row(one, "b")]}).json()

    assert (answer["rows"], answer["new_variants"], answer["experiments"]) == (3, 3, 2)
    assert answer["values_capped"] == 0


def test_events__one_bad_row_of_three__names_it_and_writes_none(api: APIClient) -> None:
    one, two = make_experiment("One"), make_experiment("Two")
    rows = [_row(one), _row(two, clicks=99), {**_row(one, "b"), "experiment_id": "no-such"}]

    assert _fields(api.post(f"{V1}/events/", {"rows": rows})) == ["rows[2].experiment_id"]
    assert _fields(api.post(f"{V1}/events/", {"rows": rows[:2]})) == ["rows[1].clicks"]
    assert not DailyMetric.objects.exists()


def test_events__one_day__is_recorded_and_its_fields_are_named_as_written(api: APIClient) -> None:
    experiment = make_experiment()
    variants = [{"variant_name": name, "impressions": 10, "clicks": 1} for name in ("control", "b")]
    body = {"experiment_id": experiment.key, "date": DAY, "variants": variants}

    answer = api.post(f"{V1}/events/", body).json()

    assert (answer["rows"], answer["new_variants"], answer["experiments"]) == (2, 2, 1)
    assert _fields(api.post(f"{V1}/events/", {**body, "experiment_id": "no-such"})) == ["experiment_id"]
    variants[1]["clicks"] = 11
    assert _fields(api.post(f"{V1}/events/", body)) == ["variants[1].clicks"]
    variants[1]["clicks"] = -1
    assert _fields(api.post(f"{V1}/events/", body)) == ["variants[1].clicks"]
    assert api.post(f"{V1}/events/", {**body, "mode": "add"}).status_code == 422


def test_events__more_than_ten_thousand_rows__are_refused_with_the_bound(api: APIClient) -> None:
    response = api.post(f"{V1}/events/", {"rows": [_row(make_experiment())] * 10_001})

    assert _fields(response) == ["rows"]
    assert "10,000" in response.json()["detail"]


def test_events__add_without_a_key__is_refused(api: APIClient) -> None:
    response = api.post(f"{V1}/events/", {"mode": "add", "rows": [_row(make_experiment())]})

    assert response.json()["code"] == "idempotency_key_required"


def test_events__add_with_keys__adds_once_for_each_key(api: APIClient) -> None:
    experiment = make_experiment()
    body = {"mode": "add", "rows": [_row(experiment, impressions=10, clicks=2)]}

    first = api.post(f"{V1}/events/", body, headers={"Idempotency-Key": "one"})
    again = api.post(f"{V1}/events/", body, headers={"Idempotency-Key": "one"})
    other = api.post(f"{V1}/events/", body, headers={"Idempotency-Key": "two"})

    assert first.json() == again.json()
    assert ("Idempotent-Replayed" in first, again["Idempotent-Replayed"]) == (False, "true")
    assert "Idempotent-Replayed" not in other
    assert DailyMetric.objects.values_list("impressions", "clicks").get() == (20, 4)


def test_idempotency_key__another_body__is_422_and_nothing_happens(api: APIClient) -> None:
    headers = {"Idempotency-Key": "one"}
    api.post(f"{V1}/experiments/", {"name": "A"}, headers=headers)

    response = api.post(f"{V1}/experiments/", {"name": "B"}, headers=headers)

    assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")
    assert Experiment.objects.count() == 1


def test_idempotency_key__replayed_creation__keeps_status_and_location(api: APIClient) -> None:
    headers = {"Idempotency-Key": "one"}

    answers = [api.post(f"{V1}/experiments/", {"name": "A"}, headers=headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0]["Location"] == answers[1]["Location"]
    assert answers[0].json() == answers[1].json()
    assert Experiment.objects.count() == 1


def test_idempotency_key__refused_request__may_be_corrected_under_the_same_key(api: APIClient) -> None:
    headers = {"Idempotency-Key": "one"}

    assert api.post(f"{V1}/experiments/", {"name": ""}, headers=headers).status_code == 422
    assert api.post(f"{V1}/experiments/", {"name": "A"}, headers=headers).status_code == 201


def test_idempotency_key__stored__as_digest_and_answer_without_the_request(api: APIClient) -> None:
    api.post(f"{V1}/experiments/", {"name": "Secret name"}, headers={"Idempotency-Key": "one"})

    stored = IdempotentAnswer.objects.get()
    assert len(stored.request_digest) == 64
    assert stored.status_code == 201


def test_idempotency_key__database_away_or_locked__is_503_as_without_one(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr("django.db.transaction.atomic", down)

    response = api.post("/api/v1/experiments/", {"name": "Checkout"}, headers={"Idempotency-Key": "1"})

    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert response["Retry-After"] == "5"


class _Body(io.BytesIO):
    """A body as a client sends it; it records how deep in transactions each part was read, and may lack its end."""

    def __init__(self, content: bytes, *, hangs_up: bool = False) -> None:
        super().__init__(content)
        self.depths: set[int] = set()
        self.hangs_up = hangs_up

    def read(self, size: int | None = -1, /) -> bytes:
        if self.hangs_up:
            raise OSError("connection reset")
        self.depths.add(len(connection.savepoint_ids))
        return super().read(size)


def _send(api: APIClient, body: _Body, headers: dict[str, str]) -> Any:
    more: dict[str, Any] = {"wsgi.input": body, "CONTENT_LENGTH": str(len(body.getvalue()))}
    return api.generic(
        "POST", f"{V1}/experiments/", "", content_type="application/json", headers=headers, **more
    )


def test_idempotency_key__slow_body__is_read_before_anything_is_locked(api: APIClient) -> None:
    body = _Body(b'{"name": "Checkout"}')

    response = _send(api, body, {"Idempotency-Key": "1"})

    assert (response.status_code, body.depths) == (201, {0})


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "1"}])
def test_body__client_hangs_up__is_no_fault_of_the_service(api: APIClient, headers: dict[str, str]) -> None:
    response = _send(api, _Body(b'{"name": "Checkout"}', hangs_up=True), headers)

    assert (response.status_code, response.json()["code"]) == (400, "bad_request")


@pytest.mark.skipif(connection.vendor == "postgresql", reason="PostgreSQL keeps its locks itself")
def test_idempotency_key__nowhere_to_lock__is_503_and_nothing_is_written(
    api: APIClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))

    response = api.post(f"{V1}/experiments/", {"name": "Checkout"}, headers={"Idempotency-Key": "1"})

    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert not Experiment.objects.exists()


def test_idempotency_key__after_a_day__is_free_again_and_pruned(api: APIClient) -> None:
    headers = {"Idempotency-Key": "one"}
    api.post(f"{V1}/experiments/", {"name": "A"}, headers=headers)
    IdempotentAnswer.objects.update(created_at=NOW - KEPT_FOR - dt.timedelta(seconds=1))

    assert api.post(f"{V1}/experiments/", {"name": "B"}, headers=headers).status_code == 201
    IdempotentAnswer.objects.update(created_at=NOW - KEPT_FOR - dt.timedelta(seconds=1))
    assert prune_idempotent_answers(now=NOW) == 1


def _csv(api: APIClient, text: str, **query: str) -> Any:
    file = SimpleUploadedFile("d.csv", text.encode())
    url = f"{V1}/events/csv/" + (f"?on_error={query['on_error']}" if query else "")
    return api.post(url, {"file": file}, format="multipart")


def test_csv__bad_row__rejects_the_file_by_line_or_skips_it(api: APIClient) -> None:
    experiment = make_experiment()
    rows = f"{experiment.key},{DAY},a,5,1\n{experiment.key},{DAY},b,1,5\n"
    text = f"experiment_id,date,variant_name,impressions,clicks\n{rows}"

    assert _fields(_csv(api, text)) == ["line 3, clicks"]
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
    rows = "".join(f"{make_experiment().key},{DAY},v{n},1,5\n" for n in range(300))
    text = f"experiment_id,date,variant_name,impressions,clicks\n{rows}"

    refused = _csv(api, text)

    assert _fields(refused) == [f"line {line}, clicks" for line in range(2, 302)]
    assert refused.json()["total_issues"] == 300

    nothing = _csv(api, text, on_error="skip")
    assert (nothing.status_code, nothing.json()["total_issues"]) == (422, 300)


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


def test_csv__single_orders__are_added_up_beside_the_days_totals(api: APIClient) -> None:
    experiment = make_running(value_cap=20)
    place = f"{experiment.key},{TODAY},control"
    text = f"experiment_id,date,variant_name,value\n{place},12.5\n{place},30\n"

    report = _csv(api, text).json()

    assert (report["processed_rows"], report["has_orders"], report["values_capped"]) == (2, True, 1)
    rows = api.get(f"{V1}/experiments/{experiment.key}/metrics/", {"variant": "control"}).json()["results"]
    assert [(row["impressions"], row["conversions"], row["value_sum"]) for row in rows] == [(10000, 2, 32.5)]


@pytest.mark.parametrize("rows", ["", "{key},{day},a,5,9\n"], ids=["no row", "a bad row"])
def test_csv__nothing_to_load__is_422_whatever_is_skipped(api: APIClient, rows: str) -> None:
    text = "experiment_id,date,variant_name,impressions,clicks\n" + rows.format(
        key=make_experiment().key, day=DAY
    )

    assert _csv(api, text, on_error="skip").status_code == 422


@pytest.mark.parametrize("choice", [{"blank": "maybe"}, {"repeated": "first"}, {"new_variants": "no"}])
def test_csv__unknown_choice__is_refused_by_name(api: APIClient, choice: dict[str, str]) -> None:
    file = SimpleUploadedFile("d.csv", b"x")

    assert _fields(api.post(f"{V1}/events/csv/", {"file": file, **choice}, format="multipart")) == list(
        choice
    )


def test_events__new_variants__are_named_or_refused(api: APIClient) -> None:
    experiment = make_running()
    day = {"experiment_id": experiment.key, "date": DAY}
    row = {"variant_name": "green", "impressions": 10, "clicks": 1}

    refused = api.post(f"{V1}/events/", {**day, "variants": [row], "new_variants": "refuse"}, format="json")
    made = api.post(f"{V1}/events/", {"rows": [{**day, **row}]}, format="json").json()

    assert _fields(refused) == ["variants[0].variant_name"]
    assert (made["new_variants"], made["new_variant_names"]) == (1, ["green"])


def test_events__name_that_looks_like_a_known_one__is_refused_with_it_named(api: APIClient) -> None:
    day = {"experiment_id": make_running().key, "date": DAY}
    row = {"variant_name": "CONTROL", "impressions": 10, "clicks": 1}

    refused = api.post(f"{V1}/events/", {"rows": [{**day, **row}]}, format="json")

    assert _fields(refused) == ["rows[0].variant_name"]
    assert "write 'control'" in refused.json()["errors"][0]["message"]


def test_template__is_what_the_upload_takes(api: APIClient) -> None:
    assert (
        api.get(f"{V1}/events/template.csv").content.decode().startswith("experiment_id,date,variant_name,")
    )
