"""A new experiment, the settings tab, and what can be done with an experiment as a whole."""

import datetime as dt
from typing import Any

import pytest
from django.test import Client

from dashboard.settings.labels import own_number, range_problem, shown_number
from experiments.models import Experiment, Status, Variant
from experiments.services import archive_experiment, change_status
from experiments.settings_schema import ALGORITHM_SETTINGS, SETTINGS_ON_PAGES
from tests.dashboard.clients import client_of
from tests.factory import NOW, allocate, counts, make_experiment, make_running, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

NEW = "/dashboard/experiments/new/"
ONE = "/dashboard/experiments/button-colour/"
SETTINGS = f"{ONE}settings/"


@pytest.fixture
def analyst() -> Client:
    return client_of("analyst")


def _filled(*variants: str, control: str = "0", **fields: str) -> dict[str, str]:
    """Build what the new experiment's page sends."""
    rows = {f"form-{index}-name": name for index, name in enumerate(variants)}
    management = {"form-TOTAL_FORMS": str(len(variants)), "form-INITIAL_FORMS": "0"}
    return {"name": "Button colour", "reward": "ctr", "control": control, **management, **rows, **fields}


def _errors(response: Any) -> dict[str, list[str]]:
    return {name: list(errors) for name, errors in response.context["form"].errors.items()}


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
def test_new__setting_outside_its_range__is_told_beside_it_and_nothing_is_lost(
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


def test_new__same_name_twice__is_told_beside_the_second(analyst: Client) -> None:
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


def test_settings__changed__are_saved_and_blank_follows_the_installation(analyst: Client) -> None:
    make_running(control_floor=0.2, exploitation=2)

    filled = {"name": "Colour", "description": "", "control_floor": "", "max_daily_shift": "5"}
    response = analyst.post(SETTINGS, filled, follow=True)

    changed = Experiment.objects.get()
    own = {name: value for name, value in changed.own_settings().items() if value is not None}
    assert (changed.name, changed.reward, own) == ("Colour", "ctr", {"max_daily_shift": 0.05})
    assert b"Saved. Used from the next update on." in response.content


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


@pytest.mark.parametrize("name", ["control", "", "\u200b"])
def test_variants__name_that_is_taken_or_no_name__is_told_beside_it(analyst: Client, name: str) -> None:
    make_running()
    pk = _variant("variant_b").pk
    url = f"{SETTINGS}variants/"

    added = analyst.post(url, {"new-name": name})
    renamed = analyst.post(f"{url}{pk}/rename/", {f"variant-{pk}-name": name})

    assert list(added.context["new_variant"].errors) == ["name"]
    assert [bool(form.errors) for _v, _colour, form, _share in renamed.context["rows"]] == [False, True]
    assert sorted(Variant.objects.values_list("name", flat=True)) == ["control", "variant_b"]


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


def test_duplicate__running__leads_to_a_draft_of_its_own(analyst: Client) -> None:
    make_running()

    response = analyst.post(f"{ONE}duplicate/")

    assert response["Location"] == "/dashboard/experiments/copy-of-button-colour/settings/"
    assert Experiment.objects.get(key="copy-of-button-colour").status == Status.DRAFT


def test_archive__paused_and_back(analyst: Client) -> None:
    experiment = make_running()
    refused = analyst.post(f"{ONE}archive/", follow=True)
    change_status(experiment_id=experiment.pk, to=Status.PAUSED, now=NOW)

    analyst.post(f"{ONE}archive/")
    archived = Experiment.objects.get().archived_at
    analyst.post(f"{ONE}unarchive/")

    assert b"pause or complete it first" in refused.content
    assert (archived, Experiment.objects.get().archived_at) == (NOW, None)


def test_delete__admin__deletes_and_only_an_admin_may(analyst: Client) -> None:
    allocate(make_running("Button <colour>"))
    url = "/dashboard/experiments/button-colour/"
    admin = client_of("admin")

    assert analyst.post(f"{url}delete/").status_code == 403
    assert b"Delete permanently" not in analyst.get(f"{url}settings/").content
    assert "Delete “Button &lt;colour&gt;”?" in admin.get(f"{url}settings/").content.decode()
    assert admin.post(f"{url}delete/", follow=True).status_code == 200
    assert not Experiment.objects.exists()


@pytest.mark.parametrize(
    "path",
    ["duplicate/", "archive/", "settings/", "settings/variants/", "settings/variants/1/rename/"]
    + [f"settings/variants/1/{act}/" for act in ("retire", "bring-back", "control")],
)
def test_change__viewer__is_refused(path: str) -> None:
    make_running()

    assert client_of("viewer").post(f"{ONE}{path}", {"name": "x"}).status_code == 403


def test_settings__viewer__reads_values_and_is_offered_nothing() -> None:
    make_running(control_floor=0.07)
    viewer = client_of("viewer")

    page = viewer.get(SETTINGS).content.decode()

    assert "Current settings" in page
    assert "7%" in page
    assert page.count("<form") == 2  # the language, logging out
    assert viewer.get(NEW).status_code == 403


def test_list__new_experiment__is_offered_to_those_who_may(analyst: Client) -> None:
    viewer = client_of("viewer")
    empty = [NEW in client.get("/dashboard/").content.decode() for client in (viewer, analyst)]
    make_running()
    filled = [NEW in client.get("/dashboard/").content.decode() for client in (viewer, analyst)]

    assert (empty, filled) == ([False, True], [False, True])


@pytest.mark.parametrize("path", [NEW, SETTINGS])
def test_forms__page__at_most_12_queries(
    analyst: Client, path: str, django_assert_max_num_queries: Any
) -> None:
    allocate(make_running())

    with django_assert_max_num_queries(12):
        assert analyst.get(path).status_code == 200


def test_forms__without_their_token__are_refused() -> None:
    make_running()
    client = Client(enforce_csrf_checks=True)

    assert client.post(NEW, _filled("a")).status_code == 403
    assert client.post(SETTINGS, {"name": "x"}).status_code == 403
