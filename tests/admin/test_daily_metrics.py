"""The admin of daily metrics: a wrong day is corrected with a reason."""

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from experiments.models import DailyMetric, Experiment, Status
from tests.admin.forms import change_form, correction_of, metric_of, staff
from tests.factory import make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]


def test_admin__wrong_day_corrected__names_who_and_why_and_counts(operator: Client) -> None:
    experiment = make_running()
    metric, before = metric_of(), Experiment.objects.get().data_version

    response = operator.post(
        f"/admin/experiments/dailymetric/{metric.pk}/change/", correction_of(metric, clicks=650)
    )

    assert response.status_code == 302, response.content
    assert metric_of().clicks == 650
    assert Experiment.objects.get().data_version == before + 1
    record = Experiment.history.filter(id=experiment.pk).latest("history_id")
    assert record.history_user == "op"
    assert record.history_change_reason == (
        "control, 2025-09-01: 10000/700/0 became 10000/650/0. wrong export"
    )
    assert "wrong export" in operator.get("/dashboard/experiments/button-colour/history/").content.decode()


def test_admin__day_of_a_renamed_variant_corrected__is_reported_under_its_name(operator: Client) -> None:
    experiment = make_running()
    experiment.variants.filter(key="variant_b").update(name="green")
    metric = metric_of("green")

    operator.post(f"/admin/experiments/dailymetric/{metric.pk}/change/", correction_of(metric, clicks=900))

    record = Experiment.history.filter(id=experiment.pk).latest("history_id")
    assert record.history_change_reason.startswith("green, 2025-09-01: 10000/950/0 became 10000/900/0.")
    assert metric_of("green").clicks == 900
    assert experiment.variants.count() == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"clicks": 10001}, "clicks (10001) must not exceed impressions (10000)"),
        ({"impressions": -1, "clicks": -1, "conversions": -1}, "impressions must be from 0 to"),
        ({"reason": ""}, "This field is required"),
    ],
)
def test_admin__impossible_correction__is_refused_on_the_form(
    operator: Client, changes: dict[str, Any], words: str
) -> None:
    make_running()
    metric = metric_of()

    response = operator.post(
        f"/admin/experiments/dailymetric/{metric.pk}/change/", correction_of(metric, **changes)
    )

    assert words in response.content.decode()
    assert metric_of().clicks == 700


@pytest.mark.parametrize(("language", "stored"), [("pt-br", 9000), ("en", 10000)])
def test_admin__correction_with_a_point__is_read_in_the_pages_language(
    operator: Client, language: str, stored: int
) -> None:
    make_running()
    metric = DailyMetric.objects.get(variant__name="control")
    url = f"/admin/experiments/dailymetric/{metric.pk}/change/"

    operator.post(url, correction_of(metric, impressions="9.000"), headers={"accept-language": language})

    assert DailyMetric.objects.get(pk=metric.pk).impressions == stored


@pytest.mark.parametrize(
    ("language", "typed", "stored"),
    [("pt-br", "10.000", 10_000), ("pt-br", "12,50", 12.5), ("en", "10,000", 10_000), ("en", "10.000", 2000)],
)
def test_admin__amounts__are_read_in_the_pages_language(
    operator: Client, language: str, typed: str, stored: float
) -> None:
    experiment = make_running(value_cap=Decimal(2000), reward="value_per_impression")
    totals = DailyMetric.objects.filter(variant__name="control")
    totals.update(conversions=10, value_sum=2000, value_squares=1_000_000)
    metric = totals.get()
    squares = f"{stored**2:,}" if stored > 1000 else "100"
    values = {"value_sum": typed, "value_squares": squares.replace(",", "." if language == "pt-br" else ",")}

    operator.post(
        f"/admin/experiments/dailymetric/{metric.pk}/change/",
        correction_of(metric, **values),
        headers={"accept-language": language},
    )
    operator.post(
        f"/admin/experiments/experiment/{experiment.pk}/change/",
        change_form(experiment, reward=experiment.reward, value_cap=typed),
        headers={"accept-language": language},
    )

    experiment.refresh_from_db()
    assert [totals.get().value_sum, experiment.value_cap] == [Decimal(stored)] * 2


def test_admin__correction_of_a_completed_experiment__tells_the_services_refusal(operator: Client) -> None:
    experiment = make_running()
    Experiment.objects.filter(pk=experiment.pk).update(status=Status.COMPLETED)
    metric = metric_of()

    response = operator.post(
        f"/admin/experiments/dailymetric/{metric.pk}/change/", correction_of(metric, clicks=1), follow=True
    )

    assert "is ended (completed) and takes no events" in response.content.decode()
    assert metric_of().clicks == 700


@pytest.mark.parametrize(
    ("query", "target"),
    [
        ("", "/dashboard/"),
        ("?experiment=button-colour", "/dashboard/experiments/button-colour/data/upload/"),
        ("?experiment=nothing", "/dashboard/"),
    ],
)
def test_admin_metrics__upload__leads_to_the_dashboard(operator: Client, query: str, target: str) -> None:
    make_running()

    page = operator.get(f"/admin/experiments/dailymetric/{query}").content.decode()

    assert f'<a href="{target}">Upload CSV</a>' in page
    assert f'<a href="/admin/experiments/dailymetric/export/{query or "?"}">Download CSV</a>' in page


def test_admin_metrics__of_a_viewer__offers_no_upload() -> None:
    page = staff("viewer").get("/admin/experiments/dailymetric/").content.decode()

    assert "Download CSV" in page
    assert "Upload CSV" not in page


def test_admin_export__filtered__is_the_file_that_the_upload_takes(operator: Client) -> None:
    make_running()
    make_running("Other")

    response = operator.get("/admin/experiments/dailymetric/export/?experiment=other")

    assert b"".join(response.streaming_content).decode().splitlines() == [  # type: ignore[attr-defined]
        "experiment_id,date,variant_name,impressions,clicks,conversions",
        "other,2025-09-01,control,10000,700,0",
        "other,2025-09-01,variant_b,10000,950,0",
    ]


def test_admin__values_corrected__are_checked_and_shown(operator: Client) -> None:
    experiment, metric = make_running(), metric_of()
    url = f"/admin/experiments/dailymetric/{metric.pk}/change/"

    refused = operator.post(url, correction_of(metric, conversions=2, value_sum="42.5"))
    operator.post(url, correction_of(metric, conversions=2, value_sum="42.5", value_squares="1056.25"))

    assert "the sum of squared values is needed beside the value (42.5)" in refused.content.decode()
    assert (metric_of().value_sum, metric_of().value_squares) == (Decimal("42.5"), 1056.25)
    record = Experiment.history.filter(id=experiment.pk).latest("history_id")
    assert record.history_change_reason == (
        "control, 2025-09-01: 10000/700/0 became 10000/700/2/42.5/1056.25. wrong export"
    )


def test_admin_calendar__empty_and_filled__offers_what_lies_between(operator: Client) -> None:
    assert operator.get("/admin/experiments/dailymetric/").status_code == 200
    make_running()

    page = operator.get("/admin/experiments/dailymetric/?date__year=2025&date__month=9").content.decode()

    assert "September 1" in page
