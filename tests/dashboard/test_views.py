from typing import Any

import pytest
from django.test import Client

from dashboard.charts import split_bar
from experiments.models import Status
from tests.factory import allocate, counts, make_experiment, make_running, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]


def test_experiments__none__invites_to_begin(client: Client) -> None:
    assert b"No experiments yet" in client.get("/dashboard/").content


def test_experiments__running__shows_split_and_reason(client: Client) -> None:
    allocate(make_running("Button <b>colour</b>"))

    page = client.get("/dashboard/").content.decode()

    assert "Button &lt;b&gt;colour&lt;/b&gt;" in page
    assert "control 30.0%, variant_b 70.0%" in page
    assert "daily cap" in page


def test_experiments__many__same_number_of_queries(client: Client, django_assert_num_queries: Any) -> None:
    for n in range(6):
        allocate(make_running(f"E{n}"))
    make_experiment("Draft", status=Status.DRAFT)

    with django_assert_num_queries(3):
        client.get("/dashboard/")


def test_split_bar__shares__lie_side_by_side_with_the_control_neutral() -> None:
    experiment = make_experiment()
    record(experiment, counts("b", 1000, 10), counts("control", 1000, 10), counts("c", 1000, 10))

    parts = split_bar(allocate(experiment).shares.select_related("variant").order_by("variant_id"))

    assert [part.colour for part in parts] == ["variant-1", "variant-control", "variant-2"]
    assert [float(part.start) for part in parts] == [0, pytest.approx(33.34), pytest.approx(66.67)]
    assert sum(part.percent for part in parts) == 100
