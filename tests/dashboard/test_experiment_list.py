import datetime as dt
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from allocation.models import Allocation
from allocation.services import complete_experiment
from allocation.statistics.experiment import experiment_statistics
from allocation.statistics.stored import Lift
from dashboard.experiment_list.listing import ATTENTION, Asked, Found, look_of, page_of
from dashboard.experiment_list.page import PAGE_SIZE
from dashboard.experiment_list.rows import Row, WarmUp
from dashboard.experiment_list.stages import Flag, Stage
from experiments.database.rows import rows_of
from experiments.models import Experiment, Status
from experiments.services import archive_experiment, change_status
from experiments.variants import change_variant
from notifications.events import EventKind
from notifications.models import Alarm
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, make_running, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today", "own_machine")]

YESTERDAY = TODAY - dt.timedelta(days=1)


def _complete(experiment: Experiment) -> None:
    winner = experiment.variants.get(name="variant_b")
    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW, winner_id=winner.pk)


def _rows(client: Client, query: str = "") -> list[Row]:
    rows: list[Row] = client.get(f"/dashboard/{query}").context["rows"]
    return rows


def _archived(name: str) -> Experiment:
    experiment = make_experiment(name, status=Status.DRAFT)
    return archive_experiment(experiment_id=experiment.pk, now=NOW)


def _raise_alarm(experiment: Experiment, kind: EventKind) -> None:
    Alarm.objects.create(experiment=experiment, kind=kind, raised_at=NOW)


def test_list__no_experiment__invites_to_begin(client: Client) -> None:
    assert b"No experiments yet" in client.get("/dashboard/").content


def test_list__running__shows_stage_split_and_lift_with_its_interval(client: Client) -> None:
    experiment = make_running("Button <b>colour</b>")
    allocate(experiment)

    page = client.get("/dashboard/").content.decode()
    (row,) = _rows(client)

    assert "Button &lt;b&gt;colour&lt;/b&gt;" in page
    assert "variant_b 70.0%" in page
    (other,) = [v for v in experiment_statistics(experiment.pk, TODAY).variants if not v.is_control]
    assert row.lift == pytest.approx(Lift(other.uplift or 0, other.uplift_low or 0, other.uplift_high or 0))


def test_list__one_active_variant__has_all_traffic(client: Client) -> None:
    experiment = make_experiment()
    record(experiment, counts("only", 2000, 100))
    allocate(experiment)

    page = client.get("/dashboard/").content.decode()

    assert "only 100.0%" in page
    assert "<small>even split<" not in page


def test_list__even_split__says_so_in_place_of_a_share(client: Client) -> None:
    experiment = make_experiment()
    record(experiment, counts("a", 10, 1), counts("b", 10, 1), counts("c", 10, 1))
    allocate(experiment)

    assert _rows(client)[0].top_part is None
    assert b"even split" in client.get("/dashboard/").content


def test_list__warming_up__counts_what_is_there_and_the_days_that_it_still_takes(client: Client) -> None:
    experiment = make_experiment()
    for day in (TODAY - dt.timedelta(days=2), YESTERDAY):
        record(experiment, counts("control", 100, 1, date=day), counts("b", 100, 1, date=day))
    allocate(experiment)

    (row,) = _rows(client)

    # 600 of 1,000 are missing, and a day has brought 200
    assert row.warm_up == WarmUp(400, 1000, 3)
    assert b"about 3 more days" in client.get("/dashboard/").content
    assert row.ahead is None


@pytest.mark.parametrize(
    ("rows", "is_decided", "waits_for", "words"),
    [
        ([], False, "data", "No data yet"),
        ([("control", 0), ("b", 0)], True, "impressions", "No impressions yet"),
        ([("control", 900), ("b", 900)], False, "allocation", "counted from the next allocation on"),
        ([("control", 1800)], False, "variants", "two active variants need data"),
        ([("control", 1800), ("b", 0)], True, "variants", "two active variants need data"),
    ],
)
def test_list__warming_up__says_what_the_first_result_waits_for(
    client: Client, rows: list[tuple[str, int]], is_decided: bool, waits_for: str, words: str
) -> None:
    experiment = make_experiment()
    if rows:
        record(experiment, *(counts(name, shown, 0, date=YESTERDAY) for name, shown in rows))
    if is_decided:
        allocate(experiment)

    (row,) = _rows(client)

    assert (row.stage, row.waits_for) == (Stage.WARM_UP, waits_for)
    page = client.get("/dashboard/").content.decode()
    assert words in page
    assert ("No data yet" in page) == (waits_for == "data")


def test_list__completed__tells_what_it_brought(client: Client) -> None:
    experiment = make_running()
    record(experiment, counts("control", 1000, 70), counts("variant_b", 3000, 285))
    assert _rows(client)[0].summary.gain is None
    allocate(experiment)
    before = _rows(client)[0]
    _complete(experiment)

    row = _rows(client)[0]

    assert row.ahead is not None
    assert row.ahead.variant.name == "variant_b"
    assert (row.summary.gain, row.lift) == (before.summary.gain, before.lift)
    assert row.summary.gain is not None
    assert row.summary.gain.low < row.summary.gain.value < row.summary.gain.high
    assert [part.share for part in row.summary.split] == [0, 1]


def test_list__traffic_mismatch__comes_first_and_names_no_result(client: Client) -> None:
    ready, mismatched = make_running("Ready"), make_running("Mismatched")
    for experiment in (mismatched, ready):
        allocate(experiment)
    Allocation.objects.update(state="decided")
    _raise_alarm(mismatched, EventKind.SAMPLE_RATIO_MISMATCH)

    rows = _rows(client)

    assert [(row.experiment.name, str(row.stage), list(row.flags)) for row in rows] == [
        ("Mismatched", "learning", ["mismatch"]),
        ("Ready", "ready", []),
    ]
    assert [row.ahead is None for row in rows] == [True, False]
    assert {row.experiment.name for row in _rows(client, "?stage=attention")} == {"Mismatched", "Ready"}


def test_list__late_data__is_flagged_while_it_runs_only(client: Client) -> None:
    running, paused = make_experiment("Running"), make_experiment("Paused")
    for experiment in (running, paused):
        record(experiment, counts("a", 10, 1, date=TODAY - dt.timedelta(days=9)))
    change_status(experiment_id=paused.pk, to=Status.PAUSED, now=NOW)

    assert {row.experiment.name: list(row.flags) for row in _rows(client)} == {
        "Running": ["late"],
        "Paused": [],
    }


def test_list__data_after_a_decision_on_old_days__is_not_late(client: Client) -> None:
    experiment = make_experiment()
    record(experiment, counts("a", 10, 1, date=TODAY - dt.timedelta(days=9)))
    allocate(experiment)
    record(experiment, counts("a", 10, 1, date=YESTERDAY))

    assert [row.flags for row in _rows(client)] == [()]


def test_list__split_decided_for_tomorrow_too__is_judged_by_that_of_today(client: Client) -> None:
    experiment = make_running()
    allocate(experiment)
    tomorrow = allocate(experiment, TODAY + dt.timedelta(days=1))
    Allocation.objects.filter(pk=tomorrow.pk).update(state="decided")

    assert [row.stage for row in _rows(client)] == [Stage.LEADER]
    assert [row.stage for row in _rows(client, "?order=decision")] == [Stage.LEADER]


def test_list__leader_whose_rival_is_deactivated__is_alone_and_no_result(client: Client) -> None:
    experiment = make_running()
    allocate(experiment)
    rival = experiment.variants.get(name="variant_b")
    change_variant(experiment_id=experiment.pk, variant_id=rival.pk, now=NOW, is_active=False)

    assert [(row.stage, row.flags) for row in _rows(client)] == [(Stage.LEARNING, (Flag.ALONE,))]


def test_list__decisions_rest_on_recent_days__reads_no_daily_row() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite does not tell what it has read")
    for n in range(3):
        allocate(make_running(f"E{n}"))
    asked = Asked(Found(), "", ATTENTION)

    read = Counter[str]()
    for run in (
        lambda: look_of(asked, TODAY, start=0, most=50),
        lambda: page_of(asked, TODAY, start=0, most=50),
    ):
        with CaptureQueriesContext(connection) as queries:
            run()
        (statement,) = (query["sql"] for query in queries)
        ((plan,),) = rows_of(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", [])
        read += _rows_read(plan[0]["Plan"])

    # of tables as small as these PostgreSQL may read the log for its index
    assert read["experiments_experiment"]
    assert "experiments_dailymetric" not in read


def _rows_read(node: dict[str, Any]) -> Counter[str]:
    """Rows that a plan read, by table."""
    read = Counter({node.get("Relation Name", ""): round(node["Actual Rows"] * node["Actual Loops"])})
    for part in node.get("Plans", ()):
        read += _rows_read(part)
    return Counter({name: rows for name, rows in read.items() if name and rows})


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?order=newest", ["Third", "Second one", "First"]),
        ("?order=name", ["First", "Second one", "Third"]),
        ("?stage=paused", ["Second one"]),
        ("?q=one second", ["Second one"]),
        ("?q=ana", ["Third"]),
        ("?tag=Shop", ["Third"]),
        ("?q=nothing-like-it", []),
        ("?stage=archived", ["Put away"]),
        ("?stage=bogus&order=bogus&page=99", ["Third", "First", "Second one"]),
    ],
)
def test_list__searched_filtered_and_ordered(client: Client, query: str, names: list[str]) -> None:
    _first, second, third = [make_experiment(n) for n in ("First", "Second one", "Third")]
    Experiment.objects.filter(pk=third.pk).update(owner="Ana", tags="shop summer")
    change_status(experiment_id=second.pk, to=Status.PAUSED, now=NOW)
    _archived("Put away")

    assert [row.experiment.name for row in _rows(client, query)] == names


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?stage=leader", []),
        ("?stage=warm_up", ["Thin"]),
        ("?stage=learning", ["Close"]),
        ("?order=traffic", ["Clear", "Close", "Thin"]),
        ("?order=decision", ["Clear", "Close", "Thin"]),
    ],
)
def test_list__by_stage_and_by_what_matters(client: Client, query: str, names: list[str]) -> None:
    clear = make_running("Clear")
    close, thin = make_experiment("Close"), make_experiment("Thin")
    record(close, counts("control", 4000, 200), counts("b", 4000, 205))
    record(thin, counts("control", 10, 1), counts("b", 10, 1))
    for experiment in (clear, close, thin):
        allocate(experiment)
    if query == "?stage=leader":
        change_status(experiment_id=clear.pk, to=Status.PAUSED, now=NOW)

    assert [row.experiment.name for row in _rows(client, query)] == names


def test_list__only_archived_experiments__are_in_reach(client: Client) -> None:
    _archived("Put away")

    page = client.get("/dashboard/").content.decode()

    assert "Every experiment is archived." in page
    assert "?stage=archived" in page


def test_list__many__same_number_of_queries(client: Client, django_assert_num_queries: Any) -> None:
    for n in range(6):
        allocate(make_running(f"E{n}"))
    make_experiment("Draft", status=Status.DRAFT)
    done = make_running("Done")
    allocate(done)
    _complete(done)

    # 8 with the warm-up's, or without it with a search; three more go to session, user and role
    with django_assert_num_queries(7):
        client.get("/dashboard/")


def test_list__nothing_may_be_archived__has_no_button_for_it(client: Client) -> None:
    make_experiment("Running")
    assert "Archive selected" not in client.get("/dashboard/").content.decode()

    make_experiment("Draft", status=Status.DRAFT)
    assert "Archive selected" in client.get("/dashboard/").content.decode()


def test_archive_selected__running_and_paused__archives_one_and_names_the_other(client: Client) -> None:
    running, paused = make_experiment("Running"), make_experiment("Paused")
    change_status(experiment_id=paused.pk, to=Status.PAUSED, now=NOW)
    ticked = {"do": "archive", "experiment": [running.pk, paused.pk], "next": "/dashboard/?q=a"}

    response = client.post("/dashboard/archive/", ticked)

    assert response["Location"] == "/dashboard/?q=a"
    page = client.get("/dashboard/").content.decode()
    assert "1 experiment archived." in page
    assert "is active; pause or" in page
    assert [row.experiment.name for row in _rows(client)] == ["Running"]


def test_archive_selected__restore__brings_experiments_back(client: Client) -> None:
    away = _archived("Put away")

    client.post("/dashboard/archive/", {"do": "restore", "experiment": [away.pk]})

    assert [row.experiment.name for row in _rows(client)] == ["Put away"]


@pytest.mark.parametrize("ticked", [[], ["x"], ["9" * 30]])
def test_archive_selected__nothing_that_exists__says_what_to_do(client: Client, ticked: list[str]) -> None:
    response = client.post("/dashboard/archive/", {"experiment": ticked, "next": "https://example.com/"})

    assert response["Location"] == "/dashboard/"
    make_experiment()
    assert b"Select at least one experiment." in client.get("/dashboard/").content


def test_list__more_than_a_page__the_rest_is_on_the_next(client: Client) -> None:
    for n in range(PAGE_SIZE + 1):
        make_experiment(f"E{n:03}", status=Status.DRAFT)

    assert len(_rows(client)) == PAGE_SIZE
    assert [row.experiment.name for row in _rows(client, "?page=2")] == ["E000"]


@pytest.mark.parametrize("page", ["3", "99999999", "9" * 30, "0", "-1", "2.5", "\u0662", ""])
def test_list__page_that_is_none__shows_one_that_is(client: Client, page: str) -> None:
    for n in range(PAGE_SIZE + 1):
        make_experiment(f"E{n:03}", status=Status.DRAFT)

    shown = client.get("/dashboard/", {"page": page}).context

    assert len(shown["rows"]) in {1, PAGE_SIZE}
    assert len(shown["rows"]) == len(shown["page"]) == (1 if shown["page"].number == 2 else PAGE_SIZE)
    assert {chip.value: chip.number for chip in shown["chips"]}["draft"] == PAGE_SIZE + 1


def test_list__search_and_stage_without_any__counts_the_stages_of_those_found(client: Client) -> None:
    make_experiment("First", status=Status.DRAFT)
    make_experiment("Second")

    shown = client.get("/dashboard/?q=first&stage=paused").context

    assert shown["rows"] == []
    assert {chip.value: chip.number for chip in shown["chips"]} == {"": 1, "draft": 1, "paused": 0}


def test_row__shares_of_a_running_experiment__names_the_largest(client: Client) -> None:
    allocate(make_running())

    (row,) = _rows(client)

    assert row.top_part is not None
    assert (row.top_part.name, row.top_part.share) == ("variant_b", Decimal("0.7"))
