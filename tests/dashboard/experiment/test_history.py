"""The history tab: what happened, by whom, titled by what it was, in the reader's language."""

import datetime as dt
import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from allocation.campaigns.guards import resume_after_guard
from allocation.campaigns.undo import undo_completion
from allocation.services import complete_experiment
from bandit_project.models import ApiKey
from dashboard.experiment.history.page import entries_of
from dashboard.experiment.report.links import create_link, revoke_link
from experiments.audit import coded, coded_names, read_reason, record_history
from experiments.audit.intake import Intake, IntakeLine, note_intake, prune_intakes
from experiments.campaign.watch import add_guard, add_note, change_guard, delete_guard
from experiments.ingestion.manual_edits import set_day
from experiments.models import Experiment, Status
from experiments.services import archive_experiment, change_status, create_experiment, update_experiment
from experiments.variants import change_variant
from tests.allocation.test_guards import make_guarded
from tests.dashboard.clients import client_of
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]


def titles(experiment: Experiment) -> list[str]:
    """The titles, oldest first."""
    return [entry.title for entry in sorted(entries_of(experiment), key=lambda entry: entry.at)]


def page(client: Client, experiment: Experiment, query: str = "") -> str:
    html = client.get(f"/dashboard/experiments/{experiment.key}/history/{query}").content.decode()
    return " ".join(re.sub(r"<[^>]*>", " ", html.partition('id="tab"')[2]).split())


def test_history__moves__are_titled_by_what_they_were() -> None:
    experiment = make_experiment(status=Status.DRAFT)
    pk = experiment.pk
    change_status(experiment_id=pk, to=Status.ACTIVE, now=NOW)
    change_status(experiment_id=pk, to=Status.PAUSED, now=NOW)
    change_status(experiment_id=pk, to=Status.ACTIVE, now=NOW)
    complete_experiment(experiment_id=pk, target_date=TODAY, now=NOW, decision_reason="Enough.")
    undo_completion(experiment_id=pk, now=NOW)
    change_status(experiment_id=pk, to=Status.PAUSED, now=NOW)
    archive_experiment(experiment_id=pk, now=NOW)
    archive_experiment(experiment_id=pk, now=NOW, archived=False)

    found = entries_of(experiment)

    assert {entry.title for entry in found} == {
        "Created", "Started", "Paused", "Resumed", "Ended", "End undone", "Archived", "Restored",
    }  # fmt: skip
    assert [entry.text for entry in found if entry.title == "Ended"] == ["Enough."]


def test_history__done_without_a_login__is_not_said_to_be_the_service(own_machine: None) -> None:
    experiment, client, api = make_running(), Client(), APIClient()
    address = f"/dashboard/experiments/{experiment.key}/"
    client.post(f"{address}history/notes/", {"date": "2025-09-01", "text": "A sale"})
    row = {"date": "2025-09-01", "variant_name": "control", "impressions": 10, "clicks": 1}
    recorded = api.post(
        "/api/v1/events/", {"rows": [{**row, "experiment_id": experiment.key}]}, format="json"
    )
    ends = {"winner": experiment.variants.get(is_control=True).pk, "decision_reason": "Enough."}
    client.post(f"{address}complete/", ends)

    shown = page(client, experiment)

    assert recorded.status_code == 200, recorded.content
    assert shown.count("someone without a login ·") == 3
    assert re.search(r"Created (?:\S+ )?the service ·", shown)
    experiment.refresh_from_db()
    assert experiment.completed_by == "no login"


def test_undo__of_an_end_without_a_login__it_still_ends_by_itself_once_decided(own_machine: None) -> None:
    experiment = make_running()
    Experiment.objects.update(complete_when_decided=True)
    ends = {"winner": experiment.variants.get(is_control=True).pk, "decision_reason": "Enough."}
    Client().post(f"/dashboard/experiments/{experiment.key}/complete/", ends)

    undo_completion(experiment_id=experiment.pk, now=timezone.now())

    experiment.refresh_from_db()
    assert (experiment.status, experiment.complete_when_decided) == (Status.ACTIVE, True)


def test_history__links_to_the_report__are_reported_when_made_and_when_revoked() -> None:
    experiment = make_experiment()
    create_link(experiment=experiment, days=7, now=NOW)
    link = experiment.report_links.get()
    for _twice in range(2):
        revoke_link(experiment=experiment, link_id=link.pk, now=NOW)

    assert titles(experiment)[-2:] == [
        "Link to the report made, valid until 8 Sep 2025",
        "Link to the report revoked, made on 1 Sep 2025",
    ]
    shown = page(client_of("viewer"), experiment, "?about=sharing")
    assert ("Link to the report made" in shown, "Created" in shown) == (True, False)


def test_history__settings__are_reported_from_old_to_new() -> None:
    experiment = make_experiment()

    update_experiment(experiment_id=experiment.pk, now=NOW, owner="Growth", settings={"control_floor": 0.25})

    (entry,) = [entry for entry in entries_of(experiment) if entry.title == "Settings changed"]
    assert ("Owner", "–", "Growth") in entry.fields
    assert [(before, after) for _, before, after in entry.fields if after == "25%"] == [("default", "25%")]


def test_history__variants__added_renamed_deactivated_reactivated() -> None:
    experiment = make_running()
    one = experiment.variants.get(name="variant_b").pk
    for change in ({"name": "blue"}, {"is_active": False}, {"is_active": True}):
        change_variant(experiment_id=experiment.pk, variant_id=one, now=NOW, **change)

    assert set(titles(experiment)) >= {
        "2 variants added",
        "Variant variant_b renamed to blue",
        "Variant blue deactivated",
        "Variant blue reactivated",
    }


def test_history__day_by_hand__names_the_day_and_the_variants() -> None:
    experiment = make_running()
    rows = [counts("control", 10000, 701), counts("variant_b", 10000, 950)]
    set_day(experiment_id=experiment.pk, rows=rows, today=TODAY, now=NOW)

    (entry,) = [entry for entry in entries_of(experiment) if entry.title.startswith("Day edited")]

    assert (entry.title, entry.text) == ("Day edited: 1 Sep 2025", "control")


def test_history__file__is_reported_by_name_with_its_rows() -> None:
    experiment = make_running()
    client = client_of("analyst")
    text = "date,variant_name,impressions,clicks\n2025-08-30,control,100,7\n2025-08-30,variant_b,100,9\n"
    form = {"file": SimpleUploadedFile("good.csv", text.encode())}
    address = client.post(f"/dashboard/experiments/{experiment.key}/data/upload/", form)["Location"]
    client.post(address)

    assert "Data uploaded (good.csv, 2 rows) analyst ·" in page(client, experiment)


def test_history__data_by_a_key__is_one_line_a_day_with_its_rows(api: APIClient) -> None:
    experiment = make_running()
    Intake.objects.all().delete()
    token = ApiKey.objects.create_key(name="site", scope="write")[1]
    api.credentials(HTTP_X_API_KEY=token)
    for _call in range(3):
        body = {"experiment_id": experiment.key, "date": "2025-09-01"}
        variants = [
            {"variant_name": name, "impressions": 10, "clicks": 1} for name in ("control", "variant_b")
        ]
        assert api.post("/api/v1/events/", {**body, "variants": variants}, format="json").status_code == 200

    assert "Data recorded (6 rows) API key site · 1 Sep 2025, 12:00 UTC 3 calls on 1 Sep 2025" in page(
        client_of("viewer"), experiment
    )


def test_history__guards_and_notes__are_reported() -> None:
    experiment = make_guarded()
    guard = experiment.guards.get()
    allocate(experiment)
    resume_after_guard(experiment_id=experiment.pk, target_date=TODAY, now=NOW)
    change_guard(experiment=experiment, guard_id=guard.pk, now=NOW, max_fall=10.0)
    delete_guard(experiment=experiment, guard_id=guard.pk, now=NOW)
    add_guard(experiment_id=experiment.pk, metric="ctr", max_fall=3, action="tell", now=NOW)
    add_note(experiment_id=experiment.pk, date=TODAY, text="Sale <begins>", now=NOW)

    html = page(client_of("viewer"), experiment)

    for said in (
        "A guard gave the control all traffic",
        "Resumed after a guard had stopped it",
        "Note for 1 Sep 2025",
        "Sale &lt;begins&gt;",
    ):
        assert said in html
    assert {title.partition(":")[0] for title in titles(experiment)} >= {
        "Guard added", "Guard changed", "Guard removed",
    }  # fmt: skip


def test_history__filtered__shows_one_topic_alone() -> None:
    experiment = make_running()
    add_note(experiment_id=experiment.pk, date=TODAY, text="Sale", now=NOW)

    html = page(client_of("viewer"), experiment, "?about=notes")

    assert "Note for 1 Sep 2025" in html
    assert "Created" not in html
    assert "Created" in page(client_of("analyst"), experiment, "?about=nonsense")


def test_history__many__come_in_pages() -> None:
    experiment = make_experiment()
    for number in range(60):
        add_note(
            experiment_id=experiment.pk, date=TODAY, text=f"n{number}", now=NOW + dt.timedelta(seconds=number)
        )

    html = page(client_of("viewer"), experiment)

    assert "Page 1 of 2" in html
    assert "n59" in html
    assert " n0 " not in html


def test_history__sentence_of_an_earlier_version__is_shown_as_it_is() -> None:
    experiment = make_experiment()
    record_history([experiment], reason="Data from x.csv: 3 rows")

    (entry,) = [entry for entry in entries_of(experiment) if entry.text]
    assert (entry.title, entry.text) == ("Changed", "Data from x.csv: 3 rows")


@pytest.mark.parametrize("reason", ["", None, "words", "[]", "{}", '{"event": 1', "3"])
def test_read_reason__no_code__is_none(reason: str | None) -> None:
    assert read_reason(reason) is None


def test_coded_names__too_many_for_a_record__are_counted() -> None:
    reason = coded("day.edited", date="2025-09-01", **coded_names(["x" * 60] * 9))

    assert len(reason) <= 500
    assert read_reason(reason) == ("day.edited", {"date": "2025-09-01", "names": ["x" * 60] * 2, "more": 7})


def test_note_intake__again_the_same_day__adds_up_and_another_day_is_another_line() -> None:
    one, two = make_experiment("One"), make_experiment("Two")
    later = NOW + dt.timedelta(hours=1)
    note_intake({one.pk: 2, two.pk: 1}, IntakeLine(TODAY, "", "api"), NOW)
    note_intake({one.pk: 3}, IntakeLine(TODAY, "", "api"), later)
    note_intake({one.pk: 5}, IntakeLine(TODAY, "", "csv"), later)
    note_intake({one.pk: 7}, IntakeLine(TODAY + dt.timedelta(days=1), "", "api"), later)

    rows = Intake.objects.filter(experiment=one).order_by("row_count", "source")
    assert [(row.source, row.row_count, row.calls) for row in rows] == [
        ("api", 5, 2),
        ("csv", 5, 1),
        ("api", 7, 1),
    ]
    assert {row.last_at for row in rows} == {later}
    assert prune_intakes(today=TODAY + dt.timedelta(days=401)) == 3


def test_note__written_and_deleted_on_the_page() -> None:
    experiment, analyst = make_experiment(), client_of("analyst")
    place = f"/dashboard/experiments/{experiment.key}/history/notes/"

    analyst.post(place, {"date": "2025-08-30", "text": "Sale began"})
    note = experiment.notes.get()
    assert (note.date, note.text, note.author) == (dt.date(2025, 8, 30), "Sale began", "analyst")
    assert "Note for 30 Aug 2025 analyst" in page(analyst, experiment, "?about=notes")
    assert "Delete note" not in page(client_of("viewer"), experiment)

    analyst.post(f"{place}{note.pk}/delete/")
    assert not experiment.notes.exists()


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"date": "2025-08-30", "text": ""}, "text"),
        ({"date": "2025-08-30", "text": "x" * 501}, "text"),
        ({"date": "yesterday", "text": "Sale"}, "date"),
        ({"date": "1066-10-14", "text": "Sale"}, "date"),
    ],
)
def test_note__that_cannot_be__is_refused_beside_its_field(sent: dict[str, str], field: str) -> None:
    experiment = make_experiment()

    response = client_of("analyst").post(f"/dashboard/experiments/{experiment.key}/history/notes/", sent)

    assert list(response.context["form"].errors) == [field]
    assert sent["text"] in response.content.decode()
    assert not experiment.notes.exists()


def test_note__of_a_day_too_far__names_the_days_as_pages_write_them() -> None:
    make_experiment()

    page = client_of("analyst").post(
        "/dashboard/experiments/button-colour/history/notes/",
        {"date": "2100-01-01", "text": "x"},
        headers={"accept-language": "pt-br"},
    )

    assert "Deve ficar entre 1 jan. 2000 e 31 dez. 2099" in page.content.decode()


def test_history__variants_of_a_new_experiment__are_one_entry() -> None:
    names = [f"v{n}" for n in range(12)]
    experiment = create_experiment(name="Twelve", variants=names, now=NOW)

    titles = [(entry.title, entry.text) for entry in entries_of(experiment) if "variants" in entry.title]

    assert titles == [("12 variants added", "v0, v1, v2, v3, v4, v5, v6, v7, v8, v9 and 2 more")]
