"""One day's counts, edited by hand."""

import datetime as dt
import re
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import translation

from dashboard.settings.fields import setting_field
from experiments.metrics import DailyCounts
from experiments.models import DailyMetric, Experiment, Variant
from experiments.settings_schema import ALGORITHM_SETTINGS
from tests.dashboard.clients import client_of
from tests.dashboard.experiment.data_pages import (
    DATA,
    DAY,
    EDIT,
    day_sent,
    form_errors,
    stored_rows,
)
from tests.factory import TODAY, counts, make_experiment, make_running, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]


@pytest.fixture
def analyst() -> Client:
    return client_of("analyst")


ONCE = ": count at most one for each impression, on the impression's day"


LEFT = ": give what is left of the day's total"


DIGITS = ": check its digits and separators"


def test_day__edited__is_saved_confirmed_and_offered_to_the_split(analyst: Client) -> None:
    make_running()

    sent = day_sent(control=(10000, 710, 5), variant_b=(10000, 950, 0))
    response = analyst.post(f"{EDIT}&page=1", sent, follow=True)

    assert stored_rows() == [(TODAY, "control", 10000, 710, 5), (TODAY, "variant_b", 10000, 950, 0)]
    page = response.content.decode()
    assert "Saved 1 Sep 2025: control clicks 700 → 710, conversions 0 → 5." in page
    assert page.count("Update allocation") == 2
    assert response.redirect_chain == [(f"{DATA}?page=1", 302)]


def test_day__changed_by_somebody_else_meanwhile__is_saved_only_when_sent_again(analyst: Client) -> None:
    experiment = make_running()
    seen = analyst.get(EDIT).context["form"]["seen"].value()
    record(experiment, counts("control", 20000, 1400))
    sent = day_sent(control=(10000, 710, 5), variant_b=(10000, 950, 0))

    refused = analyst.post(EDIT, sent | {"seen": seen})
    kept = stored_rows()
    again = analyst.post(EDIT, sent | {"seen": refused.context["form"]["seen"].value()})

    assert "It now holds: control 20000 / 1400 / 0; variant_b 10000 / 950 / 0." in refused.content.decode()
    assert kept[0] == (TODAY, "control", 20000, 1400, 0)
    assert (again.status_code, stored_rows()[0]) == (302, (TODAY, "control", 10000, 710, 5))


@pytest.mark.parametrize("seen", ["{", "[]", "3"])
def test_day__what_it_showed_is_garbled__is_saved_as_it_is_sent(analyst: Client, seen: str) -> None:
    make_running()

    sent = day_sent(control=(10000, 710, 5), variant_b=(10000, 950, 0))

    assert analyst.post(EDIT, sent | {"seen": seen}).status_code == 302
    assert stored_rows()[0] == (TODAY, "control", 10000, 710, 5)


def test_day__saved_unchanged__says_so(analyst: Client) -> None:
    make_running()

    sent = day_sent(control=(10000, 700, 0), variant_b=(10000, 950, ""))
    page = analyst.post(EDIT, sent, follow=True).content.decode()

    assert "Nothing on 1 Sep 2025 has changed." in page
    # the button that every running experiment has, and none in the message
    assert page.count("Update allocation") == 1


@pytest.mark.parametrize(
    ("control", "errors"),
    [
        (
            (100, 200, 0),
            [
                (
                    "clicks",
                    ["clicks (200) must not exceed impressions (100)" + ONCE],
                )
            ],
        ),
        (
            (100, 20, 101),
            [
                (
                    "conversions",
                    ["conversions (101) must not exceed impressions (100)" + ONCE],
                )
            ],
        ),
        ((-1, 0, 0), [("impressions", ["Must be from 0 to 1,000,000,000,000"])]),
        ((10**12 + 1, 0, 0), [("impressions", ["Must be from 0 to 1,000,000,000,000"])]),
        (("1.5", 0, 0), [("impressions", ["'1.5' is not a whole number"])]),
        (
            ("9" * 5000, 0, 0),
            [("impressions", [f"'{'9' * 40}…' is not a number; write it as 1234"])],
        ),
        (
            ("", "", ""),
            [(name, ["Give a number; 0 if there were none."]) for name in ("impressions", "clicks")],
        ),
    ],
)
def test_day__a_bad_number__is_shown_beside_it_and_nothing_is_written(
    analyst: Client, control: tuple[object, object, object], errors: list[tuple[str, list[str]]]
) -> None:
    make_running()
    before = stored_rows()

    response = analyst.post(EDIT, day_sent(control=control, variant_b=(10000, 951, 0)))

    assert form_errors(response) == errors
    assert stored_rows() == before
    assert 'value="951"' in response.content.decode()


def test_day__experiment_with_values__shows_and_takes_them(analyst: Client) -> None:
    experiment = make_running()
    assert "Value" not in analyst.get(DATA).content.decode()
    assert "value_sum" not in analyst.get(EDIT).content.decode()
    Experiment.objects.filter(pk=experiment.pk).update(reward="value_per_impression")

    numbers = day_sent(control=(10000, 700, 2), variant_b=(10000, 950, 0))
    control = Variant.objects.get(name="control").pk
    blank = analyst.post(EDIT, numbers)
    assert {message for _field, (message,) in form_errors(blank)} == {"Enter an amount (0 if none)."}
    variant_b = Variant.objects.get(name="variant_b").pk
    numbers |= {f"value_sum-{variant_b}": "0"}
    refused = analyst.post(EDIT, {**numbers, f"value_sum-{control}": "1042.50"})
    values = {f"value_sum-{control}": "1042.50", f"value_squares-{control}": "1000900.0"}
    in_cents = analyst.post(EDIT, {**numbers, **values, f"value_squares-{control}": "1e10"})
    page = analyst.post(EDIT, {**numbers, **values}, follow=True).content.decode()

    ((field, (message,)),) = form_errors(refused)
    assert (field, message[:45]) == ("value_squares", "the sum of squared values is needed beside th")
    ((field, (message,)),) = form_errors(in_cents)
    assert (field, message[:48]) == ("value_squares", "the sum of squared values (10000000000) is too l")
    row = DailyMetric.objects.get(variant=control)
    assert (row.value_sum, row.value_squares) == (Decimal("1042.5"), 1000900.0)
    assert "value 0.00 → 1,042.50" in page
    assert re.search(r'<td class="num"\s+data-label="Value">1,042.50</td>', page)
    assert re.search(r'<td class="num"\s+data-label="Rate">0.10</td>', page)
    shown = analyst.get(EDIT).content.decode()
    assert 'value="1042.5"' in shown


def test_day__values_changed_meanwhile__are_not_overwritten(analyst: Client) -> None:
    experiment = make_running(reward="value_per_impression")
    seen = analyst.get(EDIT).context["form"]["seen"].value()
    valued = DailyCounts(TODAY, "control", 10000, 700, 1, Decimal("5"), 25.0)
    record(experiment, valued)

    values = {f"value_sum-{variant.pk}": "0" for variant in experiment.variants.all()}
    sent = {**day_sent(control=(10000, 700, 0), variant_b=(10000, 950, 0)), **values, "seen": seen}

    response = analyst.post(EDIT, sent)

    assert "Somebody changed this day" in str(response.context["form"].errors)
    assert DailyMetric.objects.get(variant__name="control").value_sum == 5


def test_day__new__takes_the_variants_that_are_given(analyst: Client) -> None:
    make_running()

    sent = day_sent("2025-08-31", control=(50, 5, ""), variant_b=("", "", ""))
    page = analyst.post(DAY, sent, follow=True).content.decode()

    assert stored_rows()[0] == (dt.date(2025, 8, 31), "control", 50, 5, 0)
    assert len(stored_rows()) == 3
    assert "Saved 31 Aug 2025: control added." in page


@pytest.mark.parametrize(
    ("date", "error"),
    [
        ("", "This field is required."),
        ("31.08.2025", "Enter a valid date."),
        ("2025-09-03", "3 Sep 2025 lies in the future; today is 1 Sep 2025"),
        ("1999-12-31", "31 Dec 1999 is before 1 Jan 2000"),
        ("2025-09-01", "There is data for 1 Sep 2025 already."),
    ],
)
def test_day__new_with_a_day_that_cannot_be__is_refused(analyst: Client, date: str, error: str) -> None:
    make_running()
    before = stored_rows()

    response = analyst.post(DAY, day_sent(date, control=(1, 0, 0), variant_b=(1, 0, 0)))

    assert form_errors(response) == [("date", [error])]
    assert stored_rows() == before


def test_day__new_without_any_number__is_refused(analyst: Client) -> None:
    make_running()

    response = analyst.post(DAY, day_sent("2025-08-31"))

    assert form_errors(response) == [("__all__", ["Give the counts of at least one variant."])]


def test_day__new__suggests_the_day_after_the_latest(analyst: Client) -> None:
    record(make_experiment(), counts("control", 1, 0, date=TODAY - dt.timedelta(days=3)))

    form = analyst.get(DAY).context["form"]

    assert form["date"].value() == TODAY - dt.timedelta(days=2)


def test_day__retired_variant__is_asked_for_where_it_has_data(analyst: Client) -> None:
    make_running()
    Variant.objects.filter(name="variant_b").update(is_active=False)

    edited, new = (analyst.get(url).context["form"] for url in (EDIT, DAY))

    assert [variant.name for variant, _fields in edited.rows()] == ["control", "variant_b"]
    assert [variant.name for variant, _fields in new.rows()] == ["control"]


def test_day__not_a_date__is_404(analyst: Client) -> None:
    make_running()

    assert analyst.get(f"{DAY}?date=yesterday").status_code == 404


@pytest.mark.parametrize(("language", "impressions"), [("pt-br", 10000), ("en", None)])
def test_day__thousands_with_a_point__are_read_in_the_pages_language(
    analyst: Client, language: str, impressions: int | None
) -> None:
    experiment = make_experiment()
    record(experiment, counts("control", 1, 1, date=TODAY - dt.timedelta(days=9)))

    url = f"/dashboard/experiments/{experiment.key}/data/day/"
    pk = experiment.variants.get().pk
    typed = {
        "date": "2025-08-31",
        "seen": "",
        f"impressions-{pk}": "10.000",
        f"clicks-{pk}": "1.000",
        f"conversions-{pk}": "",
    }
    response = analyst.post(url, typed, headers={"accept-language": language})

    stored = DailyMetric.objects.filter(date="2025-08-31").values_list("impressions", "clicks")
    assert list(stored) == ([(10000, 1000)] if impressions else [])
    if impressions is None:
        assert "can be read as 10000 or as 10" in response.content.decode().replace("&#x27;", "'")


def test_settings__thousands_with_a_point__are_read_in_the_pages_language() -> None:
    field = setting_field(ALGORITHM_SETTINGS["min_impressions"])

    with translation.override("pt-br"):
        assert field.clean("10.000") == 10000
    with translation.override("en"), pytest.raises(ValidationError):
        field.clean("10.000")


def test_day__number_that_cannot_be_beside_one_that_is_missing__is_reported_in_the_same_round(
    analyst: Client,
) -> None:
    experiment = make_running()
    pk = experiment.variants.get(name="control").pk

    response = analyst.post(DAY, {"date": "2025-09-05", f"impressions-{pk}": "-4"})

    assert form_errors(response) == [
        ("clicks", ["Give a number; 0 if there were none."]),
        ("impressions", ["Must be from 0 to 1,000,000,000,000"]),
        ("date", ["5 Sep 2025 lies in the future; today is 1 Sep 2025"]),
    ]
