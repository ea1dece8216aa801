"""The weekly summary: on Monday morning where its reader is, exactly once for a user and week."""

import datetime as dt
import threading
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.db import connection
from pytest_django import Settings

from bandit_project.administration.weekly import send_weekly_summaries, week_due
from bandit_project.models import SentSummary, UserSettings
from bandit_project.ops.scheduler import run_due
from experiments.campaign.models import GuardAction
from experiments.models import Experiment
from notifications.events import EventKind
from notifications.models import Alarm
from tests.allocation.test_guards import make_guarded
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, make_running, record

pytestmark = pytest.mark.django_db

MONDAY = dt.date(2025, 9, 1)


def _at(day: int, hour: int, minute: int = 0) -> dt.datetime:
    """A moment of September 2025 in UTC; the 1st is a Monday."""
    return dt.datetime(2025, 9, day, hour, minute, tzinfo=dt.UTC)


def _reader(name: str = "ann", **settings: Any) -> User:
    user = User.objects.create_user(name, f"{name}@example.com")
    UserSettings.objects.create(user=user, **{"weekly_summary": True, **settings})
    return user


@pytest.mark.parametrize(
    ("zone", "moment", "due"),
    [
        ("", _at(1, 7, 59), None),
        ("", _at(1, 8), MONDAY),
        ("", _at(2, 23, 59), MONDAY),
        ("", _at(3, 0), None),
        ("", _at(7, 23), None),
        ("America/Sao_Paulo", _at(1, 10, 59), None),  # three hours behind
        ("America/Sao_Paulo", _at(1, 11), MONDAY),
        ("Pacific/Auckland", _at(20, 20), None),  # a Sunday there
        ("Pacific/Auckland", _at(7, 20), dt.date(2025, 9, 8)),  # Monday there, Sunday in Greenwich
    ],
)
def test_week_due__in_a_time_zone__is_from_monday_morning_to_tuesday(
    zone: str, moment: dt.datetime, due: dt.date | None
) -> None:
    assert week_due(zone, moment) == due


def test_summary__week_after_week__comes_once_each() -> None:
    _reader()

    sent = [send_weekly_summaries(_at(day, 8, minute)) for day in (1, 8) for minute in (0, 1, 30)]

    assert sent == [1, 0, 0, 1, 0, 0]
    assert SentSummary.objects.count() == 2


def test_summary__not_asked_for_or_without_an_address__is_not_sent() -> None:
    _reader("no", weekly_summary=False)
    User.objects.filter(pk=_reader("gone").pk).update(is_active=False)
    User.objects.filter(pk=_reader("blank").pk).update(email="")
    User.objects.create_user("plain", "plain@example.com")

    assert send_weekly_summaries(_at(1, 9)) == 0


@pytest.mark.parametrize("broken", [{"time_zone": "Atlantis/Capital"}, {"email": "a@b.example\nBcc: c"}])
def test_summary__something_is_wrong_with_one_reader__others_get_theirs(broken: dict[str, str]) -> None:
    first = _reader("ann")
    User.objects.filter(pk=first.pk).update(email=broken.get("email", first.email))
    UserSettings.objects.filter(user=first).update(time_zone=broken.get("time_zone", ""))
    _reader("bob")

    send_weekly_summaries(_at(1, 9))

    assert ["bob@example.com"] in [message.to for message in mail.outbox]
    # nobody's week is noted without a mail
    assert SentSummary.objects.count() == len(mail.outbox)


def test_summary__round_takes_too_long__others_get_theirs_in_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bandit_project.administration.weekly._SECONDS_FOR_ALL", 0)
    _reader("ann")
    _reader("bob")

    assert [send_weekly_summaries(_at(1, 9)) for _ in range(3)] == [1, 1, 0]


def test_summary__mail_server_away__is_tried_again_and_sent_once(settings: Settings) -> None:
    _reader()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    assert send_weekly_summaries(_at(1, 9)) == 0
    assert not SentSummary.objects.exists()

    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"

    assert [send_weekly_summaries(_at(1, 10)), send_weekly_summaries(_at(1, 11))] == [1, 0]


def test_summary__without_a_mail_server__is_not_written_to_the_log(settings: Settings) -> None:
    _reader()
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"

    assert send_weekly_summaries(_at(1, 9)) == 0


def test_summary__active_experiment_and_alarm__has_lift_interval_and_gain(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["bandit.example.com"]
    _reader()
    experiment = make_running("Headline")
    Alarm.objects.create(experiment=experiment, kind=EventKind.NO_DATA, raised_at=NOW)
    make_experiment("Nothing yet")
    make_experiment("Draft", status="draft")

    send_weekly_summaries(_at(1, 12))

    (sent,) = mail.outbox
    body = str(sent.body)
    assert (sent.subject, sent.to) == ("[bandit] Weekly summary, 1 Sep 2025", ["ann@example.com"])
    assert "- Headline: Data is late, since 1 Sep 2025" in body
    # 950 / 10,000 against 700 / 10,000
    assert (
        "Headline: Leader (95%)\n  variant_b leads: > 99.9% probability to be best. Another variant would gain less "
        "than 0.1%. Keep running to measure the lift more precisely.\n  Lift vs control: +35." in body
    )
    assert "95% interval +2" in body
    assert "\n  Extra clicks vs even split: " in body
    assert "- Nothing yet: Not enough data yet" in body
    assert "Draft" not in body
    assert "://bandit.example.com/dashboard/" in body


def test_summary__experiment_that_is_ready_to_decide__needs_attention() -> None:
    _reader()
    experiment = make_experiment("Headline")
    for day in range(20):
        date = TODAY - dt.timedelta(days=day)
        record(experiment, counts("control", 1000, 70, date=date), counts("b", 1000, 120, date=date))

    send_weekly_summaries(_at(1, 12))

    body = str(mail.outbox[0].body)
    attention, results = body.split("Results of active experiments")
    assert "- Headline: Ready to decide" in attention
    assert "- Headline: Ready to decide" in results


def test_summary__reader_in_portuguese__has_numbers_as_written_there() -> None:
    _reader(language="pt-br")
    make_running("Headline")

    send_weekly_summaries(_at(1, 12))

    assert "+35,7%" in str(mail.outbox[0].body)
    assert "Continue para medir o ganho relativo (lift) com mais precisão." in str(mail.outbox[0].body)
    assert "+35,7%" in _html(mail.outbox[0])
    assert '<html lang="pt-br">' in _html(mail.outbox[0])


def _html(sent: EmailMessage) -> str:
    assert isinstance(sent, EmailMultiAlternatives)
    ((content, kind),) = sent.alternatives
    assert kind == "text/html"
    return str(content)


def test_summary__as_html__says_what_the_text_says_and_escapes_names(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["bandit.example.com"]
    _reader()
    experiment = make_running("<b>Headline</b>")

    send_weekly_summaries(_at(1, 12))

    html, text = _html(mail.outbox[0]), str(mail.outbox[0].body)
    assert (
        f'://bandit.example.com/dashboard/experiments/{experiment.key}/">&lt;b&gt;Headline&lt;/b&gt;</a>'
        in html
    )
    assert "- <b>Headline</b>: Leader (95%)" in text
    for words in (
        "Hello ann,",
        "Results of active experiments",
        "variant_b leads: ",
        "Lift vs control: +35.7% (95% interval",
        "Extra clicks vs even split: ",
        "your profile ends it",
    ):
        assert words in html
        assert words in text


def test_scheduler__on_a_monday__sends_it() -> None:
    _reader()

    run_due(_at(1, 9))
    run_due(_at(1, 9, 1))

    assert [message.to for message in mail.outbox] == [["ann@example.com"]]


@pytest.mark.django_db(transaction=True)
def test_summary__two_processes_at_once__is_sent_once() -> None:
    _reader()
    sent: list[int] = []

    def run() -> None:
        sent.append(send_weekly_summaries(_at(1, 9)))
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(sent) == 1
    assert (len(mail.outbox), SentSummary.objects.count()) == (1, 1)


def test_summary__one_active_variant__is_neither_led_nor_ready() -> None:
    _reader()
    experiment = make_experiment("Headline")
    for day in range(20):
        record(experiment, counts("control", 1000, 70, date=TODAY - dt.timedelta(days=day)))

    send_weekly_summaries(_at(1, 12))

    body = str(mail.outbox[0].body)
    assert "- Headline: One variant only" in body
    assert "Ready to decide" not in body
    assert "leads" not in body


def test_summary__control_without_a_click__has_no_lift() -> None:
    _reader()
    experiment = make_experiment("Headline")
    record(experiment, counts("control", 20_000, 0), counts("b", 20_000, 30))

    send_weekly_summaries(_at(1, 12))

    body = str(mail.outbox[0].body)
    assert "The control has no clicks: there is no lift to show." in body
    assert "Lift vs control" not in body


def _body() -> str:
    """The mail on the day of the data."""
    _reader()
    send_weekly_summaries(_at(1, 12))
    return str(mail.outbox[0].body)


def _daily(days: int, rows: dict[str, tuple[int, int]]) -> Experiment:
    """Record days up to today, each with 10,000 impressions and so many clicks and conversions of each variant."""
    experiment = make_experiment("Headline")
    for age in range(days):
        date = TODAY - dt.timedelta(days=age)
        record(experiment, *(counts(name, 10_000, *numbers, date=date) for name, numbers in rows.items()))
    return experiment


def test_summary__tie__names_no_leader_and_no_lift() -> None:
    _daily(20, {"control": (5000, 0), "b": (5000, 0), "c": (4000, 0)})

    body = _body()

    assert "- Headline: Ready to decide\n  control and b are equally good, and either can be chosen" in body
    assert "leads" not in body
    assert "Lift vs control" not in body


def test_summary__no_success_at_all__names_no_leader() -> None:
    _daily(2, {"control": (0, 0), "b": (0, 0)})

    body = _body()

    assert "No variant has a success yet; there is nothing to compare." in body
    assert "leads" not in body
    assert "no lift to show" not in body


def test_summary__traffic_mismatch__says_that_alone() -> None:
    experiment = _daily(20, {"control": (1000, 0), "b": (1300, 0)})
    Alarm.objects.create(experiment=experiment, kind=EventKind.SAMPLE_RATIO_MISMATCH, raised_at=NOW)

    _attention, results = _body().split("Results of active experiments")

    assert (
        "- Headline: Traffic does not match the allocation (SRM): do not trust these numbers yet.\n\n"
        in results
    )
    assert "Leader" not in results


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (GuardAction.TELL, "A guard warns. Nothing counts as decided while this holds."),
        (GuardAction.ACT, "A guard gave the control all traffic, until a person resumes."),
    ],
)
def test_summary__guard_warned_or_stopped__says_that_alone(action: GuardAction, said: str) -> None:
    allocate(make_guarded(action, name="Headline"))

    _attention, results = _body().split("Results of active experiments")

    assert f"- Headline: {said}\n\n" in results
    assert "Leader" not in results


def test_summary__leader_sells_less__says_so_beside_ready_to_decide() -> None:
    _daily(20, {"control": (700, 200), "b": (900, 100)})

    attention, results = _body().split("Results of active experiments")

    worse = "b is clearly worse than the control on: Conversion rate."
    assert f"- Headline: Ready to decide. {worse}" in attention
    assert f"\n  {worse}\n  Lift vs control: +28.6%" in results


def test_summary__warming_up_with_many_impressions__names_no_leader() -> None:
    make_running("Headline", min_impressions=100_000)

    assert "- Headline: Not enough data yet\n\n" in _body()


def test_summary__never_shown_on_the_same_day__says_that_alone() -> None:
    experiment = make_experiment("Headline")
    record(experiment, counts("control", 10_000, 700, date=TODAY - dt.timedelta(days=1)))
    record(experiment, counts("b", 10_000, 950))

    assert (
        "- Headline: These variants were never shown on the same day: they cannot be compared with day "
        "adjustment on.\n\n" in _body()
    )
