"""The list as a CSV: the rows that its filters show."""

import csv
import io
from typing import Any

import pytest
from django.test import Client

from dashboard.experiment_list.file import COLUMNS
from experiments.models import Experiment, Status
from experiments.services import archive_experiment
from tests.factory import NOW, allocate, counts, make_experiment, make_running, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today", "own_machine")]


def _lines(client: Client, query: str = "") -> list[dict[str, str]]:
    response: Any = client.get(f"/dashboard/experiments.csv{query}")
    return list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))


def test_file__running_experiment__has_its_result_as_numbers(client: Client) -> None:
    allocate(make_running())

    (line,) = _lines(client)

    assert tuple(line) == COLUMNS
    assert (line["experiment"], line["stage"], line["leader"]) == ("button-colour", "leader", "variant_b")
    (row,) = client.get("/dashboard/").context["rows"]
    assert float(line["lift"]) == row.lift.value
    assert (line["first_day"], line["data_through"]) == ("2025-09-01", "2025-09-01")


def test_file__variants_all_alike__names_no_leader(client: Client) -> None:
    experiment = make_experiment()
    record(experiment, *(counts(name, 20000, 2000) for name in ("control", "b", "c")))
    allocate(experiment)

    (line,) = _lines(client)

    assert line["data_through"] == "2025-09-01"
    assert {line[name] for name in ("leader", "lift", "lift_low", "lift_high", "probability_best")} == {""}


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("", ["b-draft", "a-running"]),
        ("?order=name", ["a-running", "b-draft"]),
        ("?stage=draft", ["b-draft"]),
        ("?stage=archived", ["c-archived"]),
        ("?q=running", ["a-running"]),
        ("?q=nothing", []),
        ("?order=newest&page=7", ["b-draft", "a-running"]),
    ],
)
def test_file__filter_and_order_of_the_page__are_those_of_the_file(
    client: Client, query: str, keys: list[str]
) -> None:
    Experiment.objects.filter(pk=make_running("A running").pk).update(tags="shop")
    make_experiment("B draft", status=Status.DRAFT)
    archive_experiment(experiment_id=make_experiment("C archived", status=Status.DRAFT).pk, now=NOW)

    found = [line["experiment"] for line in _lines(client, query)]

    assert sorted(found) == sorted(keys) if not query else found == keys


def test_file__more_than_a_page__has_them_all_in_few_queries(
    client: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(120):
        make_experiment(f"E{number}", status=Status.DRAFT)

    with django_assert_max_num_queries(12):
        assert len(_lines(client)) == 120


def test_file__names_that_spreadsheets_run__are_text(client: Client) -> None:
    make_experiment("=SUM(A1)", owner="+1")

    (line,) = _lines(client)

    assert (line["name"], line["owner"]) == ("'=SUM(A1)", "'+1")


def test_page__filtered__links_to_the_file_of_its_rows(client: Client) -> None:
    make_running()

    page = client.get("/dashboard/?q=button&order=name").content.decode()

    assert 'href="/dashboard/experiments.csv?q=button&amp;order=name"' in page


def test_file__control_without_a_click__has_no_lift_as_in_the_list(client: Client) -> None:
    experiment = make_experiment()
    record(experiment, counts("control", 20_000, 0), counts("b", 20_000, 30))
    allocate(experiment)

    (line,) = _lines(client)

    assert "the control has no clicks" in client.get("/dashboard/").content.decode()
    assert line["leader"] == "b"
    assert float(line["probability_best"]) > 0.99
    assert {line[name] for name in ("lift", "lift_low", "lift_high")} == {""}
