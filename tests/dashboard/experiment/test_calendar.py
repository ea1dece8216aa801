"""The data tab: the calendar of days, the filter, the totals, and the forms' own words."""

import datetime as dt
import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from dashboard.experiment.data.calendar import WEEKS, CalendarDay, Kind, Span, calendar_of
from dashboard.experiment.data.daily_table import history_of
from experiments.campaign.watch import add_note
from experiments.models import Experiment, Variant
from tests.dashboard.clients import client_of
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, make_running, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

DAY = dt.timedelta(days=1)
DATA = "/dashboard/experiments/button-colour/data/"


@pytest.fixture
def analyst() -> Client:
    return client_of("analyst")


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def days_of(experiment: Experiment, page: int = 0) -> dict[dt.date, CalendarDay]:
    experiment = Experiment.objects.get(pk=experiment.pk)
    calendar = calendar_of(experiment, history_of(experiment).span, TODAY, page)
    assert calendar is not None
    return {day.date: day for week in calendar.weeks for day in week.days}


def make_days(*back: int, b: int = 1000) -> Experiment:
    """An even split of 1,000 each, ``back`` so many days ago."""
    experiment = make_experiment()
    for n in back:
        date = TODAY - n * DAY
        record(experiment, counts("control", 1000, 70, date=date), counts("b", b, 90, date=date))
    return experiment


def test_calendar__days__have_data_are_missing_or_late() -> None:
    days = days_of(make_days(9, 8, 6, 5))

    kinds = {n: days[TODAY - n * DAY].kind for n in range(11)}
    assert kinds == {
        10: Kind.BLANK, 9: Kind.DATA, 8: Kind.DATA, 7: Kind.MISSING, 6: Kind.DATA, 5: Kind.DATA,
        4: Kind.LATE, 3: Kind.LATE, 2: Kind.LATE, 1: Kind.LATE, 0: Kind.BLANK,
    }  # fmt: skip


def test_calendar__paused__is_not_late() -> None:
    experiment = make_days(9, 5)
    Experiment.objects.update(status="paused")

    assert days_of(experiment)[TODAY - DAY].kind == Kind.BLANK


def test_calendar__traffic_far_from_the_allocation__is_an_odd_day() -> None:
    experiment = make_days(4, 3)
    allocate(experiment, TODAY - 2 * DAY)
    for n, impressions in ((2, 1000), (1, 400)):
        date = TODAY - n * DAY
        record(experiment, counts("control", 1000, 70, date=date), counts("b", impressions, 40, date=date))

    days = days_of(experiment)

    shares = [float(s.share) for s in experiment.allocations.get().shares.order_by("variant_id")]
    assert shares == [pytest.approx(0.3), pytest.approx(0.7)]
    assert (days[TODAY - 3 * DAY].kind, days[TODAY - DAY].kind) == (Kind.DATA, Kind.ODD)
    assert days[TODAY - DAY].said == (
        "Sun, 31 Aug 2025: 1,400 impressions; Traffic far from the allocation (SRM)"
    )


def test_calendar__notes__are_on_their_days_with_and_without_data() -> None:
    experiment = make_days(3, 1)
    for n in (3, 2):
        add_note(experiment_id=experiment.pk, date=TODAY - n * DAY, text="Sale", now=NOW)

    days = days_of(experiment)

    assert days[TODAY - 3 * DAY].said == "Fri, 29 Aug 2025: 2,000 impressions; note: Sale"
    assert days[TODAY - 2 * DAY].said == "Sat, 30 Aug 2025: No data; note: Sale"


def test_calendar__long_history__comes_in_pages_of_half_a_year() -> None:
    experiment = make_days(0, 400)
    found = [calendar_of(experiment, Span(TODAY - 400 * DAY, TODAY), TODAY, page) for page in (0, 1, 2, 99)]

    weeks = [len(calendar.weeks) for calendar in found if calendar]
    assert weeks == [WEEKS, WEEKS, 59 - 2 * WEEKS, 59 - 2 * WEEKS]
    assert [calendar.has_older for calendar in found if calendar] == [True, True, False, False]
    first, second = found[0], found[1]
    assert first is not None
    assert second is not None
    assert second.last == first.first - DAY


def test_calendar__weeks__run_from_the_oldest_to_the_latest() -> None:
    experiment = Experiment.objects.get(pk=make_days(20, 1).pk)

    calendar = calendar_of(experiment, history_of(experiment).span, TODAY, 0)

    assert calendar is not None
    mondays = [week.days[0].date for week in calendar.weeks]
    assert mondays == [dt.date(2025, 8, 11), dt.date(2025, 8, 18), dt.date(2025, 8, 25), dt.date(2025, 9, 1)]
    assert (calendar.first, calendar.last) == (dt.date(2025, 8, 11), dt.date(2025, 9, 7))
    assert calendar.weekdays == ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def test_facts__all_days__whatever_the_filter_keeps(analyst: Client) -> None:
    make_days(9, 8, 6)

    html = words(analyst.get(f"{DATA}?from=2025-08-26").content.decode())

    assert (
        "Data up to 26 Aug 2025 First day 23 Aug 2025 Days with data 3 Missing days 1 "
        "Impressions 6,000 Clicks 480 Conversions 0 Click-through rate (CTR) 8.00%"
    ) in html


def test_data__many_variants__fewer_days_on_a_page(analyst: Client) -> None:
    experiment = make_experiment()
    for n in range(3):
        date = TODAY - n * DAY
        record(experiment, *(counts(f"v{i}", 10, 1, date=date) for i in range(40)))

    assert "Page 1 of 3" in analyst.get(DATA).content.decode()


def test_calendar__without_data__there_is_none(analyst: Client) -> None:
    make_experiment()

    assert "calendar-title" not in analyst.get(DATA).content.decode()


def test_calendar__click__leads_to_the_day_on_its_page(analyst: Client) -> None:
    make_days(*range(40))

    html = analyst.get(DATA).content.decode()
    link = re.search(r'href="(\?[^"]*day=2025-08-01[^"]*)#day-2025-08-01"', html)

    assert link is not None
    assert 'id="day-2025-08-01"' in analyst.get(DATA + link.group(1).replace("&amp;", "&")).content.decode()


def test_filter__days_and_variant__narrow_the_table_and_its_totals(analyst: Client) -> None:
    make_days(3, 2, 1)
    pk = Variant.objects.get(name="b").pk

    html = words(analyst.get(f"{DATA}?from=2025-08-30&to=2025-08-31&variant={pk}").content.decode())

    assert "2 days with data" in html
    assert "Total of the selection 2,000 180 0 9.00%" in html
    assert "70" not in html.partition("Total of the selection")[2]


def test_totals__without_a_filter__are_of_all_days(analyst: Client) -> None:
    make_days(3, 2, 1)

    assert "Total 6,000 480 0 8.00%" in words(analyst.get(DATA).content.decode())


@pytest.mark.parametrize(
    "query", ["?from=x&to=9999&variant=x&calendar=x&day=x", "?variant=999999", "?calendar=99999"]
)
def test_filter__nonsense__asks_for_nothing(analyst: Client, query: str) -> None:
    make_days(3, 2, 1)

    assert "Total 6,000 480 0 8.00%" in words(analyst.get(DATA + query).content.decode())


def test_filter__no_such_days__says_so(analyst: Client) -> None:
    make_days(3)

    assert "No matching days" in analyst.get(f"{DATA}?from=2030-01-01").content.decode()


def test_new_day__everything_wrong__is_reported_in_one_round(analyst: Client) -> None:
    experiment = make_running()
    one, two = (experiment.variants.get(name=name).pk for name in ("control", "variant_b"))
    filled = {"date": "2025-08-31", f"impressions-{one}": "10", f"clicks-{one}": "20", f"clicks-{two}": "3"}

    response = analyst.post(f"{DATA}day/", filled)

    assert set(response.context["form"].errors) == {f"clicks-{one}", f"impressions-{two}"}


def test_new_day__that_is_there__leads_to_it(analyst: Client) -> None:
    experiment = make_running()
    filled = {"date": "2025-09-01"}
    for variant in experiment.variants.all():
        filled |= {f"impressions-{variant.pk}": "10", f"clicks-{variant.pk}": "2"}

    html = analyst.post(f"{DATA}day/", filled).content.decode()

    assert "There is data for 1 Sep 2025 already." in html
    assert "Edit 1 Sep 2025" in words(html)
    assert "data/day/?date=2025-09-01" in html


def test_upload__help__uses_the_key_and_the_names_of_the_experiment(analyst: Client) -> None:
    experiment = make_experiment()
    record(experiment, counts("old headline", 10, 1), counts("new headline", 10, 1))

    html = analyst.get(f"{DATA}upload/").content.decode()

    assert "button-colour,2025-08-14,old headline,10000,700,630" in html
    assert "button-colour,2025-08-14,new headline,10000,950,855" in html
    assert "variant_b" not in html


def test_template__uploaded_as_it_is__is_refused(analyst: Client) -> None:
    make_running()
    template: Any = analyst.get(f"{DATA}template.csv")
    content = b"".join(template.streaming_content)

    address = analyst.post(f"{DATA}upload/", {"file": SimpleUploadedFile("t.csv", content)})["Location"]
    shown = analyst.get(address)

    assert (shown.context["preview"].report.processed_rows, shown.context["preview"].report.total_rows) == (
        0,
        2,
    )
