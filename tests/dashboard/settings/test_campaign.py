"""The settings tab beyond the algorithm: campaign, guards, deactivation, and what it takes to start."""

import datetime as dt
import re
from decimal import Decimal

import pytest
from django.test import Client

from experiments.campaign.models import End, Guard
from experiments.campaign.watch import add_guard
from experiments.models import Experiment, Status
from experiments.services import update_experiment
from experiments.variants import add_variant, change_variant
from tests.dashboard.clients import client_of
from tests.factory import NOW, allocate, make_experiment, make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

ONE = "/dashboard/experiments/button-colour/"
SETTINGS = f"{ONE}settings/"


@pytest.fixture
def analyst() -> Client:
    return client_of("analyst")


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def save(client: Client, **fields: str) -> str:
    filled = {"name": "Button colour", "reward": "ctr", "campaign": "1", "on_end": "pause", **fields}
    return client.post(SETTINGS, filled, follow=True).content.decode()


def test_campaign__filled_in__is_saved(analyst: Client) -> None:
    experiment = make_running()

    html = save(
        analyst,
        owner="Growth",
        tags="Summer mail",
        currency="EUR",
        value_cap="500",
        fixed_variants="on",
        starts_at="2025-09-01T08:30",
        ends_at="2025-10-01T09:00",
        on_end="variant",
        on_end_variant="variant_b",
        complete_when_decided="on",
    )

    experiment.refresh_from_db()
    assert "Saved." in html
    assert (experiment.owner, experiment.tags, experiment.currency) == ("Growth", "summer mail", "EUR")
    assert (experiment.value_cap, experiment.fixed_variants) == (Decimal(500), True)
    assert experiment.ends_at == dt.datetime(2025, 10, 1, 9, tzinfo=dt.UTC)
    assert experiment.on_end == End.VARIANT
    assert experiment.on_end_variant == experiment.variants.get(name="variant_b")
    assert experiment.complete_when_decided


def test_campaign__left_alone__stays_to_the_second(analyst: Client) -> None:
    experiment = make_running()
    ends_at = dt.datetime(2025, 10, 1, 9, 0, 30, tzinfo=dt.UTC)
    update_experiment(experiment_id=experiment.pk, now=NOW, owner="Growth", ends_at=ends_at)

    save(analyst, owner="Growth", ends_at="2025-10-01T09:00")

    experiment.refresh_from_db()
    assert (experiment.owner, experiment.ends_at) == ("Growth", ends_at)


def test_campaign__form_without_these_fields__changes_none_of_them(analyst: Client) -> None:
    experiment = make_running()
    update_experiment(experiment_id=experiment.pk, now=NOW, owner="Growth")

    analyst.post(SETTINGS, {"name": "Button colour", "reward": "ctr"})

    experiment.refresh_from_db()
    assert experiment.owner == "Growth"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"starts_at": "2025-10-02T09:00", "ends_at": "2025-10-01T09:00"}, "Must be after the start."),
        ({"on_end": "variant"}, "Name the variant that gets all traffic at the end"),
        ({"tags": "!"}, "is not a tag"),
        ({"value_cap": "-1"}, "Must be a positive number"),
    ],
)
def test_campaign__what_clashes__is_shown_beside_its_field(
    analyst: Client, fields: dict[str, str], said: str
) -> None:
    experiment = make_running()

    html = save(analyst, **fields)

    assert said in html
    assert Experiment.objects.get(pk=experiment.pk).ends_at is None


def test_guards__added_changed_and_removed(analyst: Client) -> None:
    make_running()
    new = {"new-guard-metric": "conversion_rate", "new-guard-max_fall": "5", "new-guard-action": "act"}

    html = analyst.post(f"{SETTINGS}guards/", new, follow=True).content.decode()

    guard = Guard.objects.get()
    assert (guard.metric, guard.max_fall, guard.action) == ("conversion_rate", 5, "act")
    assert "at most 5% below the control · Give the control all traffic" in words(html)

    prefix = f"guard-{guard.pk}"
    changed = {f"{prefix}-metric": "conversion_rate", f"{prefix}-max_fall": "7.5", f"{prefix}-action": "tell"}
    analyst.post(f"{SETTINGS}guards/{guard.pk}/", changed)
    guard.refresh_from_db()
    assert (guard.max_fall, guard.action) == (7.5, "tell")

    analyst.post(f"{SETTINGS}guards/{guard.pk}/delete/")
    assert not Guard.objects.exists()


@pytest.mark.parametrize("fall", ["", "0", "100", "x", "nan"])
def test_guards__fall_that_is_none__is_shown_beside_it(analyst: Client, fall: str) -> None:
    make_running()
    new = {"new-guard-metric": "ctr", "new-guard-max_fall": fall, "new-guard-action": "tell"}

    response = analyst.post(f"{SETTINGS}guards/", new)

    assert list(response.context["new_guard"].errors) == ["max_fall"]
    assert not Guard.objects.exists()


def test_guards__second_one_of_a_metric__is_shown_beside_it(analyst: Client) -> None:
    experiment = make_running()
    add_guard(experiment_id=experiment.pk, metric="ctr", max_fall=5, action="tell", now=NOW)
    new = {"new-guard-metric": "ctr", "new-guard-max_fall": "3", "new-guard-action": "tell"}

    response = analyst.post(f"{SETTINGS}guards/", new)

    assert response.context["new_guard"].errors
    assert Guard.objects.get().max_fall == 5


def test_guards__viewer__reads_them_without_a_form(analyst: Client) -> None:
    experiment = make_running()
    add_guard(experiment_id=experiment.pk, metric="ctr", max_fall=5, action="tell", now=NOW)

    html = client_of("viewer").get(SETTINGS).content.decode()

    assert "at most 5% below the control" in words(html)
    assert "new-guard-metric" not in html


def test_deactivate__leader__says_its_share_and_that_it_is_ahead_before(analyst: Client) -> None:
    allocate(make_running())

    html = words(analyst.get(SETTINGS).content.decode())

    assert "Deactivate “variant_b”? It is ahead: &gt; 99.9% probability to be best." in html
    assert "It gets 70.0% of traffic now." in html


def test_deactivate__done__offers_the_update_and_says_what_it_still_gets(analyst: Client) -> None:
    experiment = make_running()
    allocate(experiment)
    pk = experiment.variants.get(name="variant_b").pk

    html = words(analyst.post(f"{SETTINGS}variants/{pk}/retire/", follow=True).content.decode())

    assert "Deactivated variant_b. Its data stays" in html
    assert "still gets 70.0% of traffic until the allocation is updated" in html
    assert "Update allocation" in html
    assert "Reactivated variant_b." in words(
        analyst.post(f"{SETTINGS}variants/{pk}/bring-back/", follow=True).content.decode()
    )


@pytest.mark.parametrize("variants", [0, 1])
def test_start__fewer_than_two_variants__is_refused(analyst: Client, variants: int) -> None:
    experiment = make_experiment(status=Status.DRAFT)
    for number in range(variants):
        add_variant(experiment_id=experiment.pk, name=f"v{number}", now=NOW)

    html = analyst.post(f"{ONE}start/", follow=True).content.decode()

    experiment.refresh_from_db()
    assert "Add at least two variants first" in html
    assert experiment.status == Status.DRAFT


def test_start__two_of_which_one_is_inactive__is_refused(analyst: Client) -> None:
    experiment = make_experiment(status=Status.DRAFT)
    for name in ("control", "b"):
        add_variant(experiment_id=experiment.pk, name=name, now=NOW)
    pk = experiment.variants.get(name="b").pk
    change_variant(experiment_id=experiment.pk, variant_id=pk, is_active=False, now=NOW)

    analyst.post(f"{ONE}start/")

    experiment.refresh_from_db()
    assert experiment.status == Status.DRAFT


def test_create_and_start__without_two_variants__keeps_what_was_typed(analyst: Client) -> None:
    rows = {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "0", "form-0-name": "red", "control": "0"}

    response = analyst.post(
        "/dashboard/experiments/new/", {"name": "Hero", "reward": "ctr", "start": "1", **rows}
    )

    html = response.content.decode()
    assert "Name at least two variants to start, or save it as a draft." in html
    assert 'value="red"' in html
    assert not Experiment.objects.exists()


def test_settings__placeholders__do_not_look_like_values(analyst: Client) -> None:
    make_running()

    html = analyst.get(SETTINGS).content.decode()

    shown = re.findall(r'placeholder="(.*?)"', html)
    assert shown
    assert all(text.startswith("default: ") for text in shown)


def test_settings__groups__limits_and_evidence_are_folded_until_they_are_used(analyst: Client) -> None:
    experiment = make_running()

    def is_open() -> list[bool]:
        html = analyst.get(SETTINGS).content.decode()
        return ["open" in tag for tag in re.findall(r"folded-group.*?<details([^>]*)>", html, re.DOTALL)]

    assert is_open() == [False, False, False]
    update_experiment(experiment_id=experiment.pk, now=NOW, settings={"control_floor": 0.2})
    assert is_open() == [True, False, False]
