"""The report: the numbers of Results, and links that end."""

import csv
import datetime as dt
import io
from typing import Any

import pytest
from django.test import Client

from allocation.services import complete_experiment
from allocation.statistics.experiment import experiment_statistics
from dashboard.experiment.report.links import MOST_LINKS, create_link, find_link, open_links, revoke_link
from dashboard.formatting import format_lift
from dashboard.models import ReportLink
from dashboard.templatetags.formats import chance, signed
from experiments.campaign.models import End
from experiments.campaign.watch import add_note
from experiments.exceptions import ConflictError, InvalidError
from experiments.models import Experiment
from tests.dashboard.clients import client_of
from tests.dashboard.experiment.weeks import three_weeks
from tests.dashboard.files import text_of, zip_of
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, make_running, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

_PAGE = "/dashboard/experiments/button-colour/report/"


def _link(experiment: Experiment, days: int = 30) -> str:
    return f"/dashboard/shared/{create_link(experiment=experiment, days=days, now=NOW)}/"


def test_report__two_tags__are_set_apart(client: Client) -> None:
    Experiment.objects.filter(pk=make_running().pk).update(tags="mail shop")

    assert "· mail · shop" in client.get(_PAGE).content.decode()


# --- one story of numbers ---


@pytest.mark.usefixtures("own_machine")
# test_one_story.py has other stories.
@pytest.mark.parametrize("clicks", [20, 45, 55, 66])
def test_numbers__list_results_explore_report_api_and_files__tell_one_story(
    client: Client, clicks: int
) -> None:
    experiment = three_weeks(f"With {clicks}", clicks)
    one = f"/dashboard/experiments/{experiment.key}/"
    api = client.get(f"/api/v1/experiments/{experiment.key}/statistics/").json()
    (variant,) = [v for v in api["variants"] if not v["is_control"]]

    results, report = client.get(one).context, client.get(f"{one}report/").context
    (explored,) = [found for v, _, found in client.get(f"{one}explore/").context["rows"] if not v.is_control]
    (row,) = [r for r in client.get("/dashboard/").context["rows"] if r.experiment == experiment]
    (in_list,) = csv.DictReader(io.StringIO(text_of(client.get("/dashboard/experiments.csv"))))
    zipped = zip_of(client.get(f"{one}everything.zip"))
    in_file = list(csv.DictReader(io.StringIO(zipped.read("results.csv").decode())))[1]

    compared = [v for shown in (results, report) for v in shown["statistics"].variants if not v.is_control]
    for found in (*compared, explored):
        assert (found.uplift, found.uplift_low, found.uplift_high, found.probability_best) == (
            variant["uplift"],
            variant["uplift_low"],
            variant["uplift_high"],
            variant["probability_best"],
        )
    for shown in (results, report):
        assert shown["statistics"].rewards.gained_over_even == api["rewards"]["gained_over_even"]
        assert shown["verdict"].title == results["verdict"].title
    assert float(in_file["uplift"]) == variant["uplift"]
    assert float(in_file["probability_best"]) == variant["probability_best"]
    assert row.summary.gain.value == pytest.approx(api["rewards"]["gained_over_even"])
    assert float(in_list["gain"]) == row.summary.gain.value
    if row.ahead and not row.ahead.variant.is_control:
        assert row.lift.value == pytest.approx(variant["uplift"])
        assert float(in_list["lift"]) == row.lift.value
        assert float(in_list["probability_best"]) == pytest.approx(variant["probability_best"])


@pytest.mark.usefixtures("own_machine")
def test_report__experiment_with_data__prints_question_verdict_numbers_settings_and_its_date(
    client: Client,
) -> None:
    experiment = three_weeks("Button colour", 66)
    Experiment.objects.filter(pk=experiment.pk).update(description="Does blue sell?", max_daily_shift=0.1)
    add_note(experiment_id=experiment.pk, date=TODAY, text="Sale <b>began</b>", now=NOW)

    page = client.get(_PAGE).content.decode()

    statistics = experiment_statistics(experiment.pk, TODAY)
    (b,) = [v for v in statistics.variants if not v.is_control]
    assert b.uplift is not None
    for text in (
        "Does blue sell?",
        "Data up to 1 Sep 2025. Written on 1 Sep 2025, 12:00 UTC.",
        format_lift(b.uplift),
        chance(b.probability_best).replace(">", "&gt;"),
        signed(statistics.rewards.gained_over_even),
        "set for this experiment",
        "Sale &lt;b&gt;began&lt;/b&gt;",
        "Intervals are 95% credible intervals of this moment.",
        "traffic-over-time",
    ):
        assert text in page, text


@pytest.mark.usefixtures("own_machine")
@pytest.mark.parametrize("make", [make_experiment, make_running])
def test_report__no_data_or_one_day__is_shown(client: Client, make: Any) -> None:
    make()

    response = client.get(_PAGE)

    assert response.status_code == 200
    assert "Read with care" in response.content.decode()


@pytest.mark.usefixtures("own_machine")
def test_report__ended__names_the_winner_and_the_reason(client: Client) -> None:
    experiment = three_weeks("Button colour", 66)
    winner = experiment.variants.get(key="b")
    complete_experiment(
        experiment_id=experiment.pk,
        target_date=TODAY,
        now=NOW,
        winner_id=winner.pk,
        decision_reason="It sells",
    )

    page = client.get(_PAGE).content.decode()

    assert "Ended on 1 Sep 2025: b won" in page
    assert "It sells" in page


@pytest.mark.usefixtures("own_machine")
def test_report__settings__have_percentage_points_and_the_end(client: Client) -> None:
    make_running(
        max_daily_shift=0.15,
        starts_at=NOW,
        ends_at=NOW + dt.timedelta(days=30),
        on_end=End.LEADER,
        complete_when_decided=True,
    )

    shown = client.get(_PAGE).context
    portuguese = client.get(_PAGE, headers={"Accept-Language": "pt-BR"}).context

    assert "15 percentage points" in [one.value for one in shown["settings"]]
    assert shown["schedule"] == [
        ("Starts", "1 Sep 2025, 12:00 UTC"),
        ("Ends", "1 Oct 2025, 12:00 UTC"),
        ("At the end", "The leader gets all traffic"),
        ("Ends by itself once ready to decide", "yes"),
    ]
    assert "15 pontos percentuais" in [one.value for one in portuguese["settings"]]
    assert portuguese["schedule"][1] == ("Término", "1 out. 2025, 12:00 UTC")


@pytest.mark.usefixtures("own_machine")
def test_report__ended_by_hand_before_its_schedule__says_nothing_of_an_end_to_come(client: Client) -> None:
    experiment = make_running(
        starts_at=NOW, ends_at=NOW + dt.timedelta(days=30), on_end=End.LEADER, complete_when_decided=True
    )
    allocate(experiment)
    winner = experiment.variants.get(name="variant_b")
    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW, winner_id=winner.pk)

    assert client.get(_PAGE).context["schedule"] == [("Starts", "1 Sep 2025, 12:00 UTC")]


@pytest.mark.usefixtures("own_machine")
def test_report__twelve_variants__keeps_to_its_budget(
    client: Client, django_assert_max_num_queries: Any
) -> None:
    experiment = make_experiment()
    for age in range(30):
        day = TODAY - dt.timedelta(days=age)
        record(experiment, *(counts(f"v{n}", 500, 20 + n, 2, date=day) for n in range(12)))
    allocate(experiment)
    address = _link(experiment)

    with django_assert_max_num_queries(12):
        assert len(client.get(_PAGE).content) < 400_000
    with django_assert_max_num_queries(12):
        assert len(client.get(address).content) < 400_000


def test_report__a_hundred_variants__folds_all_but_ten_on_screen_and_holds_them_all_for_paper(
    client: Client,
) -> None:
    experiment = make_experiment("Hundred")
    record(experiment, *(counts(f"variant {n:03}", 2000, 100 + n, 20) for n in range(100)))
    allocate(experiment)

    page = client.get(f"/dashboard/experiments/{experiment.key}/report/").content.decode()

    html = page.partition('<div class="report">')[2]
    shown, _, folded = html.partition('<div class="report-folded" id="all-variants">')
    names = [f"variant {n:03}" for n in range(100)]
    assert sum(name in shown for name in names) == 10
    assert '<a href="#all-variants">90 more variants</a>' in shown
    board = folded.partition("</table>")[0]
    assert sum(name in board for name in names) == 90
    # the table of other metrics is folded by the browser, and opened to be printed
    metrics = folded.partition('id="metrics')[2]
    assert all(name in metrics for name in names)


# --- links ---


def test_link__made_by_an_analyst__is_shown_once_and_opens_the_report_to_anyone() -> None:
    three_weeks("Button colour", 66)
    analyst = client_of("analyst")

    made = analyst.post(_PAGE, {"days": "30"})
    address = made.context["made"]
    page = Client().get(address)

    assert address in made.content.decode()
    assert page.status_code == 200
    assert "Button colour" in page.content.decode()
    assert address not in analyst.get(_PAGE).content.decode()
    link = ReportLink.objects.get()
    assert (link.created_by, link.expires_at) == ("analyst", NOW + dt.timedelta(days=30))
    assert address.rstrip("/").split("/")[-1] not in repr(vars(link))


def test_link__its_page__is_kept_from_search_engines_caches_and_other_sites() -> None:
    page = Client().get(_link(make_running()))

    assert page["X-Robots-Tag"] == "noindex, nofollow, noarchive"
    assert page["Referrer-Policy"] == "no-referrer"
    assert page["Cache-Control"] == "no-store"
    assert b'<meta name="robots" content="noindex, nofollow">' in page.content


def test_link__its_page__leads_nowhere_and_opens_no_other(settings: Any) -> None:
    settings.DASHBOARD_LOGIN_REQUIRED = settings.API_KEY_REQUIRED = True
    experiment = three_weeks("Button colour", 66)
    stranger = Client()

    page = stranger.get(_link(experiment)).content.decode()

    assert 'href="/dashboard' not in page
    assert "<form" not in page
    assert not stranger.cookies
    one = f"/dashboard/experiments/{experiment.key}/"
    for path in ("/dashboard/", one, f"{one}report/", f"{one}everything.zip", f"{one}data/"):
        assert stranger.get(path)["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize("ended", ["expired", "revoked", "deleted", "another"])
def test_link__ended__opens_nothing(monkeypatch: pytest.MonkeyPatch, ended: str) -> None:
    experiment = make_running()
    address = _link(experiment, days=7)
    if ended == "expired":
        later = NOW + dt.timedelta(days=7)
        monkeypatch.setattr("django.utils.timezone.now", lambda: later)
    elif ended == "revoked":
        revoke_link(experiment=experiment, link_id=ReportLink.objects.get().pk, now=NOW)
    elif ended == "deleted":
        experiment.delete()
    else:
        address = "/dashboard/shared/" + "x" * 43 + "/"

    page = Client().get(address)

    assert page.status_code == 404
    assert "This link is wrong, has expired or was revoked." in page.content.decode()


def test_link__revoked_on_the_page__says_so_and_by_whom() -> None:
    experiment = make_running()
    _link(experiment)
    link = ReportLink.objects.get()

    analyst = client_of("analyst")
    analyst.post(f"{_PAGE}links/{link.pk}/revoke/")

    link.refresh_from_db()
    assert (link.revoked_at, link.revoked_by) == (NOW, "analyst")
    assert list(open_links(experiment, NOW)) == []


def test_link__of_another_experiment__is_not_revoked_from_here() -> None:
    experiment, other = make_running(), make_running("Other")
    _link(other)

    revoke_link(experiment=experiment, link_id=ReportLink.objects.get().pk, now=NOW)

    assert open_links(other, NOW).count() == 1


@pytest.mark.parametrize("days", ["0", "31", "-7", "", "x", "²", "99999999999"])
def test_link__another_time_than_offered__is_refused_with_the_choices(days: str) -> None:
    make_running()

    page = client_of("analyst").post(_PAGE, {"days": days})

    assert "Choose one of these numbers of days: 7, 30, 90, 365." in page.content.decode()
    assert not ReportLink.objects.exists()


def test_link__more_than_anyone_needs__is_refused() -> None:
    experiment = make_running()
    for _ in range(MOST_LINKS):
        create_link(experiment=experiment, days=7, now=NOW)

    with pytest.raises(ConflictError):
        create_link(experiment=experiment, days=7, now=NOW)
    with pytest.raises(InvalidError):
        create_link(experiment=experiment, days=8, now=NOW)


@pytest.mark.usefixtures("today")
def test_link__token_of_odd_signs__is_only_wrong() -> None:
    assert find_link("\ud800", NOW) is None
    assert Client().get("/dashboard/shared/%00%ff/").status_code == 404


def test_link__five_wrong_ones__lock_that_address_out_and_no_other(settings: Any) -> None:
    address = _link(make_running())
    for _ in range(settings.AXES_FAILURE_LIMIT):
        assert Client().get("/dashboard/shared/wrong/").status_code == 404

    locked = Client().get(address)

    assert locked.status_code == 429
    assert locked["Retry-After"] == "1800"
    assert Client(REMOTE_ADDR="192.0.2.9").get(address).status_code == 200


def test_link__thirty_reports_a_minute__are_enough() -> None:
    address = _link(make_experiment())

    answers = [Client().get(address).status_code for _ in range(31)]

    assert answers == [200] * 30 + [429]
