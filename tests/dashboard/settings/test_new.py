"""A new experiment: its form, its variants and what its limits mean."""

import datetime as dt
from typing import Any

import pytest
from django.test import Client

from dashboard.settings.labels import own_number, range_problem, shown_number
from experiments.models import Experiment, Status
from experiments.settings_schema import ALGORITHM_SETTINGS, SETTINGS_ON_PAGES
from tests.dashboard.clients import client_of
from tests.factory import make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

NEW = "/dashboard/experiments/new/"
ONE = "/dashboard/experiments/button-colour/"
SETTINGS = f"{ONE}settings/"


@pytest.fixture
def analyst() -> Client:
    return client_of("analyst")


def _errors(response: Any) -> dict[str, list[str]]:
    return {name: list(errors) for name, errors in response.context["form"].errors.items()}


def _filled(*variants: str, control: str = "0", **fields: str) -> dict[str, str]:
    """Build what the new experiment's page sends."""
    rows = {f"form-{index}-name": name for index, name in enumerate(variants)}
    management = {"form-TOTAL_FORMS": str(len(variants)), "form-INITIAL_FORMS": "0"}
    return {"name": "Button colour", "reward": "ctr", "control": control, **management, **rows, **fields}


def _errors_of_rows(response: Any) -> list[dict[str, list[str]]]:
    return [dict(form.errors) for form in response.context["variants"]]


def test_new__filled_in__saves_a_draft_in_the_units_of_the_page(analyst: Client) -> None:
    filled = _filled(
        "red", "green", "", control="1", control_floor="7", window_days="30", day_adjustment="off"
    )

    response = analyst.post(NEW, {**filled, "description": "Why?", "reward": "conversion_rate"})

    made = Experiment.objects.get()
    assert response["Location"] == SETTINGS
    assert (made.status, made.description, made.reward) == (Status.DRAFT, "Why?", "conversion_rate")
    own = {name: value for name, value in made.own_settings().items() if value is not None}
    assert own == {"control_floor": 0.07, "window_days": 30, "day_adjustment": False}
    assert [(v.name, v.is_control) for v in made.variants.order_by("id")] == [("red", False), ("green", True)]


def test_new__start__is_active_and_leads_to_its_data(analyst: Client) -> None:
    response = analyst.post(NEW, _filled("control", "b", start="1"), follow=True)

    assert Experiment.objects.get().status == Status.ACTIVE
    assert response.request["PATH_INFO"] == f"{ONE}data/"
    assert b"Started. Add the first day here" in response.content


def test_new__without_variants__is_saved_all_the_same(analyst: Client) -> None:
    analyst.post(NEW, _filled())

    assert Experiment.objects.get().variants.count() == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (name, value)
        for name, setting in ALGORITHM_SETTINGS.items()
        if not setting.is_switch
        for value in ("x", "NaN", str(shown_number(name, setting.high) + 1), "-1", "1e99999")
    ],
)
def test_new__setting_outside_its_range__is_shown_beside_it_and_nothing_is_lost(
    analyst: Client, name: str, value: str
) -> None:
    response = analyst.post(NEW, _filled("control", "b", **{name: value}))

    assert _errors(response) == {name: [range_problem(ALGORITHM_SETTINGS[name])]}
    page = response.content.decode()
    assert 'value="Button colour"' in page
    assert f'value="{value}"' in page
    assert 'aria-invalid="true"' in page
    assert not Experiment.objects.exists()


def test_setting_words__every_number__comes_back_as_it_went() -> None:
    for name, setting in ALGORITHM_SETTINGS.items():
        if setting.default is not None and not setting.is_switch:
            assert own_number(name, shown_number(name, setting.default)) == setting.default
    assert {setting.name for setting in SETTINGS_ON_PAGES} == ALGORITHM_SETTINGS.keys()
    assert own_number("control_floor", shown_number("control_floor", 0.07)) == 0.07


def test_new__floors_without_room__are_refused_together(analyst: Client) -> None:
    response = analyst.post(NEW, _filled(control_floor="50", min_explore_rate="50"))

    said = "Minimum control share and exploration share together must be at most 99%, not 100%."
    assert _errors(response) == {"control_floor": [said]}


def test_new__same_name_twice__is_shown_beside_the_second(analyst: Client) -> None:
    response = analyst.post(NEW, _filled("a", "", "b", "a"))

    assert _errors_of_rows(response) == [{}, {}, {}, {"name": ["is given twice"]}]
    assert not Experiment.objects.exists()


def test_new__name_that_looks_like_another__is_refused_beside_it(analyst: Client) -> None:
    response = analyst.post(NEW, _filled("control", "Control"))

    said = "differs from 'control' only by case, spaces or width; give it another name"
    assert _errors_of_rows(response) == [{}, {"name": [said]}]
    assert not Experiment.objects.exists()


@pytest.mark.parametrize("name", ["", " ", "\u202e", "x" * 201])
def test_new__no_name_to_see__is_refused(analyst: Client, name: str) -> None:
    response = analyst.post(NEW, {**_filled("a"), "name": name})

    assert list(_errors(response)) == ["name"]


def test_new__101_variants__are_refused(analyst: Client) -> None:
    response = analyst.post(NEW, _filled(*(f"v{n}" for n in range(101))))

    assert "at most 100 variants" in response.content.decode()
    assert not Experiment.objects.exists()


def test_new__another_row_without_scripts__keeps_what_was_filled_in(analyst: Client) -> None:
    response = analyst.post(NEW, _filled("a", "b", control="1", more="1", control_floor="7"))

    variants = response.context["variants"]
    assert [form["name"].value() for form in variants] == ["a", "b", None]
    assert (variants.control, response.context["form"]["control_floor"].value()) == ("1", "7")
    assert not Experiment.objects.exists()


def test_new__page__shows_defaults_and_what_they_mean(analyst: Client) -> None:
    page = " ".join(analyst.get(NEW).content.decode().split())

    assert "Default: 10%. From 0% to 50%." in page
    assert "The control never gets less than <strong>10.0%</strong>." in page
    assert "can reach <strong>90.0%</strong>, at the earliest in 2 days" in page


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("variants=4", "can reach <strong>87.5%</strong>, at the earliest in 4 days."),
        ("variants=4&max_daily_shift=100", "can reach <strong>87.5%</strong> within 1 day."),
        ("variants=4&max_daily_shift=12.34", "at most <strong>12.34 percentage points</strong>"),
        ("variants=1", "A single variant gets all traffic."),
        ("variants=0", "As an example, for two variants:"),
        ("variants=x", "As an example, for two variants:"),
        ("variants=2&control_floor=50", "minimum shares leave no room beyond an even split of 50.0%"),
        ("variants=2&control_floor=70", "Minimum control share: Out of range. From 0% to 50%."),
        ("variants=2&min_impressions=0&window_days=14", "14 days of data at most."),
        ("variants=2", "All data count, until the variants compare differently"),
        ("variants=999", "For 100 variants:"),
    ],
)
def test_limits__settings_in_the_query__in_plain_words(analyst: Client, query: str, said: str) -> None:
    page = analyst.get(f"/dashboard/limits/?{query}").content.decode()

    assert said in " ".join(page.split())


def test_list__new_experiment__is_offered_to_those_who_may(analyst: Client) -> None:
    viewer = client_of("viewer")
    empty = [NEW in client.get("/dashboard/").content.decode() for client in (viewer, analyst)]
    make_running()
    filled = [NEW in client.get("/dashboard/").content.decode() for client in (viewer, analyst)]

    assert (empty, filled) == ([False, True], [False, True])


def test_new__campaign__is_saved_with_the_experiment(analyst: Client) -> None:
    campaign = {
        "campaign": "1", "owner": "Growth", "tags": "Summer mail", "starts_at": "2025-09-10T08:00",
        "ends_at": "2025-10-01T09:00", "on_end": "leader", "complete_when_decided": "on",
    }  # fmt: skip

    analyst.post(NEW, _filled("control", "b", **campaign))

    made = Experiment.objects.get()
    assert (made.status, made.owner, made.tags, made.on_end) == ("draft", "Growth", "summer mail", "leader")
    assert (made.starts_at, made.ends_at) == (
        dt.datetime(2025, 9, 10, 8, tzinfo=dt.UTC),
        dt.datetime(2025, 10, 1, 9, tzinfo=dt.UTC),
    )
    assert made.complete_when_decided


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"starts_at": "2125-01-01T00:00", "start": "1"}, {"starts_at": "Save it as a draft"}),
        ({"starts_at": "2025-09-10T08:00", "ends_at": "2025-09-10T08:00"}, {"ends_at": "Must be after"}),
        ({"tags": "a,b"}, {"tags": "is not a tag"}),
        ({"on_end": "variant"}, {"on_end": "Select a valid choice"}),
    ],
)
def test_new__campaign_that_cannot_be__is_refused_beside_its_field(
    analyst: Client, fields: dict[str, str], said: dict[str, str]
) -> None:
    response = analyst.post(NEW, _filled("control", "b", campaign="1", **fields))

    found = _errors(response)
    assert found.keys() == said.keys()
    assert all(text in found[name][0] for name, text in said.items())
    assert "<details open>" in " ".join(response.content.decode().split())
    assert not Experiment.objects.exists()


def test_new__problem_of_the_variants_alone__is_said_at_the_top_too(analyst: Client) -> None:
    refused = analyst.post(NEW, _filled("control", "Control"))

    page = refused.content.decode()
    assert not refused.context["form"].errors
    assert ("Not saved" in page, "Please fix the highlighted fields." in page) == (True, True)
    assert "Not saved" not in analyst.get(NEW).content.decode()
