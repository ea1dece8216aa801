"""The settings tab: what an experiment is, and its variants."""

import datetime as dt
import re
from typing import Any

import pytest
from django.test import Client

from experiments.models import Experiment, Status, Variant
from experiments.services import archive_experiment, change_status, create_experiment, update_experiment
from tests.dashboard.clients import client_of
from tests.factory import NOW, counts, make_experiment, make_running, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

NEW = "/dashboard/experiments/new/"
ONE = "/dashboard/experiments/button-colour/"
SETTINGS = f"{ONE}settings/"


@pytest.fixture
def analyst() -> Client:
    return client_of("analyst")


def _errors(response: Any) -> dict[str, list[str]]:
    return {name: list(errors) for name, errors in response.context["form"].errors.items()}


def test_settings__changed__are_saved_and_blank_follows_the_installation(analyst: Client) -> None:
    make_running(control_floor=0.2, exploitation=2)

    filled = {"name": "Colour", "description": "", "control_floor": "", "max_daily_shift": "5"}
    response = analyst.post(SETTINGS, filled, follow=True)

    changed = Experiment.objects.get()
    own = {name: value for name, value in changed.own_settings().items() if value is not None}
    assert (changed.name, changed.reward, own) == ("Colour", "ctr", {"max_daily_shift": 0.05})
    assert b"Saved. Used from the next update on." in response.content


def test_settings__saved_while_it_runs__offer_the_update_of_the_allocation(analyst: Client) -> None:
    make_running()

    page = analyst.post(SETTINGS, {"name": "Colour", "control_floor": "20"}, follow=True).content.decode()

    assert "Saved. Used from the next update on." in page
    assert page.count("Update allocation") == 2


def test_settings__page__shows_the_experiments_own_values(analyst: Client) -> None:
    make_running(control_floor=0.07, day_adjustment=False)

    form = analyst.get(SETTINGS).context["form"]

    assert (form["control_floor"].value(), form["day_adjustment"].value()) == ("7", "off")
    assert form["window_days"].value() is None


def test_settings__changed_by_somebody_else_meanwhile__are_saved_only_when_sent_again(
    analyst: Client,
) -> None:
    make_running()
    Experiment.objects.update(updated_at=NOW - dt.timedelta(minutes=5))
    filled = {"name": "Mine", "seen": analyst.get(SETTINGS).context["form"]["seen"].value()}
    analyst.post(SETTINGS, {"name": "Theirs", "window_days": "7"})

    refused = analyst.post(SETTINGS, filled)
    kept = Experiment.objects.get().name
    again = analyst.post(SETTINGS, filled | {"seen": refused.context["form"]["seen"].value()})

    assert "Somebody changed this experiment" in refused.content.decode()
    assert 'value="Mine"' in refused.content.decode()
    assert (kept, again.status_code, Experiment.objects.get().name) == ("Theirs", 302, "Mine")


def test_settings__only_data_came_meanwhile__are_saved(analyst: Client) -> None:
    experiment = make_running()
    seen = analyst.get(SETTINGS).context["form"]["seen"].value()
    record(experiment, counts("control", 20000, 1400))

    assert analyst.post(SETTINGS, {"name": "Mine", "seen": seen}).status_code == 302


def test_settings__reward__changes_only_in_a_draft(analyst: Client) -> None:
    make_running()
    make_experiment("Draft", status=Status.DRAFT)
    filled = {"name": "Same", "reward": "conversion_rate"}

    analyst.post(SETTINGS, filled)
    analyst.post("/dashboard/experiments/draft/settings/", filled)

    assert sorted(Experiment.objects.values_list("key", "reward")) == [
        ("button-colour", "ctr"),
        ("draft", "conversion_rate"),
    ]


def test_settings__refused__changes_nothing(analyst: Client) -> None:
    make_running()

    response = analyst.post(SETTINGS, {"name": "Other", "window_days": "0"})

    assert list(_errors(response)) == ["window_days"]
    assert Experiment.objects.get().name == "Button colour"


def _variant(name: str) -> Variant:
    return Variant.objects.get(name=name)


def test_variants__added_renamed_retired_and_brought_back__while_it_runs(analyst: Client) -> None:
    make_running()
    url = f"{SETTINGS}variants/"

    analyst.post(url, {"new-name": "c"})
    pk = _variant("c").pk
    analyst.post(f"{url}{pk}/rename/", {f"variant-{pk}-name": "d"})
    analyst.post(f"{url}{pk}/retire/")
    assert (_variant("d").key, _variant("d").is_active) == ("c", False)

    analyst.post(f"{url}{pk}/bring-back/")
    assert _variant("d").is_active


def test_variants__one_without_a_name__that_an_old_upload_made_can_be_renamed_and_retired(
    analyst: Client,
) -> None:
    pk = make_running().variants.get(name="variant_b").pk
    Variant.objects.filter(pk=pk).update(name="", key="")
    url = f"{SETTINGS}variants/{pk}/"

    assert analyst.get(SETTINGS).status_code == 200
    analyst.post(f"{url}rename/", {f"variant-{pk}-name": "d"})
    analyst.post(f"{url}retire/")

    assert (_variant("d").key, _variant("d").is_active) == ("", False)


@pytest.mark.parametrize("name", ["control", "", "\u200b"])
def test_variants__name_that_is_taken_or_no_name__is_shown_beside_it(analyst: Client, name: str) -> None:
    make_running()
    pk = _variant("variant_b").pk
    url = f"{SETTINGS}variants/"

    added = analyst.post(url, {"new-name": name})
    renamed = analyst.post(f"{url}{pk}/rename/", {f"variant-{pk}-name": name})

    assert list(added.context["new_variant"].errors) == ["name"]
    assert [bool(form.errors) for _v, _colour, form, _share in renamed.context["rows"]] == [False, True]
    assert sorted(Variant.objects.values_list("name", flat=True)) == ["control", "variant_b"]


def test_variants__a_hundred__come_in_pages_and_a_refused_name_on_its_own(analyst: Client) -> None:
    experiment = create_experiment(name="Button colour", variants=[f"v{n}" for n in range(100)], now=NOW)
    pk = experiment.variants.get(name="v50").pk

    page = analyst.get(f"{SETTINGS}?variants=5").content.decode().partition('id="variants"')[2]
    refused = analyst.post(f"{SETTINGS}variants/{pk}/rename/", {f"variant-{pk}-name": "v1"})

    assert "81–100 of 100" in page
    assert ("v99" in page, "v50" in page) == (True, False)
    shown = [(variant.name, bool(form.errors)) for variant, _colour, form, _share in refused.context["rows"]]
    assert len(shown) == 20
    assert ("v50", True) in shown


def test_control__moves_in_a_draft_only(analyst: Client) -> None:
    make_running()
    url = f"{SETTINGS}variants/{_variant('variant_b').pk}/control/"

    running = analyst.post(url, follow=True)
    Experiment.objects.update(status=Status.DRAFT)
    analyst.post(url)

    assert b"The control moves only while the experiment is a draft." in running.content
    assert _variant("variant_b").is_control


def test_control__retired__is_refused_and_not_offered(analyst: Client) -> None:
    make_running()
    url = f"{SETTINGS}variants/{_variant('control').pk}/retire/"

    response = analyst.post(url, follow=True)

    assert b"The control cannot be deactivated." in response.content
    assert url not in analyst.get(SETTINGS).content.decode()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("completed", "Ended: data, variants and settings are locked."),
        ("archived", "Archived. Restore it to make changes."),
    ],
)
def test_settings__closed__say_why_and_refuse(analyst: Client, how: str, said: str) -> None:
    experiment = make_running()
    if how == "completed":
        change_status(experiment_id=experiment.pk, to=Status.COMPLETED, now=NOW)
    else:
        change_status(experiment_id=experiment.pk, to=Status.PAUSED, now=NOW)
        archive_experiment(experiment_id=experiment.pk, now=NOW)

    page = analyst.get(SETTINGS).content.decode()
    posted = analyst.post(SETTINGS, {"name": "Other"})
    analyst.post(f"{SETTINGS}variants/", {"new-name": "c"})

    assert said in page
    assert "Save settings" not in page
    assert said in posted.content.decode()
    assert (Experiment.objects.get().name, Variant.objects.count()) == ("Button colour", 2)


def test_settings__viewer__reads_values_and_is_offered_nothing() -> None:
    make_running(control_floor=0.07)
    viewer = client_of("viewer")

    page = viewer.get(SETTINGS).content.decode()

    assert "Current settings" in page
    assert "7%" in page
    assert page.count("<form") == 2  # the language, logging out
    assert viewer.get(NEW).status_code == 403


def test_settings__viewer__reads_the_campaign_too() -> None:
    experiment = make_running()
    ends_at = dt.datetime(2025, 10, 1, 9, tzinfo=dt.UTC)
    update_experiment(
        experiment_id=experiment.pk,
        now=NOW,
        owner="Growth",
        ends_at=ends_at,
        on_end="variant",
        on_end_variant="variant_b",
    )

    page = client_of("viewer").get(SETTINGS).content.decode()

    rows = dict(re.findall(r'<th scope="row">(.*?)</th>\s*<td class="num wrap">(.*?)</td>', page))
    assert rows == {
        "Owner": "Growth",
        "Ends": "1 Oct 2025, 09:00 UTC",
        "At the end": "A chosen variant gets all traffic: variant_b",
    }
