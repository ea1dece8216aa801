"""Notification mails: plain words for people, the same in text and HTML, and a link to the page."""

import re
from html import unescape
from typing import Any

import pytest
from django.core import mail
from pytest_django import Settings

from notifications.channels.facts import Fact, facts_of
from notifications.channels.kinds import Channel, Message
from notifications.channels.mails import mail_of
from notifications.delivery import deliver_waiting
from notifications.events import EventKind
from notifications.models import Endpoint
from tests.factory import NOW, TODAY, allocate, make_running

EXPERIMENT = {"id": 7, "key": "button-colour", "name": "Button <colour> & co"}
CHANGED = {
    "target_date": "2025-09-01", "revision": 1, "kind": "optimized", "state": "optimizing",
    "reason": "b leads: 84.4% likely to be the best.",
    "shares": {"control": 0.25, "b": 0.75}, "previous_shares": {"control": 0.5, "b": 0.5},
}  # fmt: skip
HARM = {
    "metric": "conversion_rate",
    "variant": "b",
    "max_fall": 5.0,
    "action": "act",
    "ratio": "conversion rate",
}
EVENTS: list[tuple[EventKind, dict[str, Any], list[Fact]]] = [
    (
        EventKind.ALLOCATION_CHANGED,
        CHANGED,
        [
            Fact("In force from", "1 Sep 2025"),
            Fact("control", "25.0% of traffic, before 50.0%"),
            Fact("b", "75.0% of traffic, before 50.0%"),
        ],
    ),
    (
        EventKind.LEADER_FOUND,
        {"target_date": "2025-09-01", "leader": "b", "probability_best": 0.9996, "value_remaining": 0.02},
        [
            Fact("In force from", "1 Sep 2025"),
            Fact("Leader", "b"),
            Fact("Probability to be best", "> 99.9%"),
        ],
    ),
    (
        EventKind.SAMPLE_RATIO_MISMATCH,
        {"p_value": 0.00001, "chi_square": 30, "observed": {"a": 1200, "b": 800}, "expected": {"a": 1e3, "b": 1e3}},
        [
            Fact("a", "1,200 impressions, 1,000 expected"),
            Fact("b", "800 impressions, 1,000 expected"),
        ],
    ),
    (
        EventKind.RATES_CHANGED,
        {"since": "2025-08-20", "rates_before": {"a": 0.02, "b": None}, "rates_since": {"a": 0.03, "b": 0.1}},
        [Fact("a", "rate +50.0% since the change")],
    ),
    (
        EventKind.GUARD_ACTED,
        {"reason": "A guard has stopped it.", "target_date": "2025-09-01", "harms": [HARM]},
        [
            Fact("In force from", "1 Sep 2025"),
            Fact("b", "more than 5% below the control in conversion rate"),
        ],
    ),
    (EventKind.EXPERIMENT_COMPLETED, {"winner": "b", "value_remaining": 0.001}, [Fact("Final variant", "b")]),
    (EventKind.NO_DATA, {"days": 3, "date": "2025-09-01"}, []),
]  # fmt: skip


def _message(kind: EventKind, data: dict[str, Any], language: str = "en") -> Message:
    return Message(kind, {"experiment": EXPERIMENT, "data": data}, "d-1", "", NOW, language)


def _words(html: str) -> str:
    """Read what a mail's HTML shows, on one line."""
    body = html[html.index("<body>") :]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())


@pytest.mark.database_free
@pytest.mark.parametrize(("kind", "data", "facts"), EVENTS)
def test_mail__each_kind_of_event__is_its_facts_in_words_in_text_and_html(
    kind: EventKind, data: dict[str, Any], facts: list[Fact]
) -> None:
    written = mail_of(_message(kind, data))

    assert facts_of(data) == facts
    for label, value in facts:
        assert f"- {label}: {value}\n" in written.text
        assert f"{label} {value}" in _words(written.html)
    assert "{" not in written.text
    assert "<colour>" not in written.html


@pytest.mark.database_free
def test_mail__address_of_the_service_is_known__leads_to_the_page(settings: Settings) -> None:
    settings.ALLOWED_HOSTS, settings.SECURE_SSL_REDIRECT = ["bandit.example.com"], True

    written = mail_of(_message(EventKind.ALLOCATION_CHANGED, CHANGED))

    page = "https://bandit.example.com/dashboard/experiments/button-colour/"
    assert f"\n{page}\n" in written.text
    assert f'<a href="{page}">Open the experiment</a>' in written.html


@pytest.mark.database_free
def test_mail__portuguese__writes_dates_and_numbers_as_its_pages_do() -> None:
    written = mail_of(_message(EventKind.ALLOCATION_CHANGED, CHANGED, "pt-br"))

    assert "75,0% do tráfego, antes 50,0%" in written.text
    assert 'lang="pt-br"' in written.html


@pytest.mark.database_free
@pytest.mark.parametrize(
    ("kind", "data", "english"),
    [
        (EventKind.ALLOCATION_CHANGED, CHANGED, "likely to be the best"),
        (EventKind.GUARD_ACTED, {"reason": "A guard has stopped it.", "harms": [HARM]}, "has stopped it"),
        (EventKind.GUARD_WARNED, HARM, "conversion rate"),
        (EventKind.EXPERIMENT_ENDED, {"ends_at": "2025-09-01T09:00:00Z", "outcome": "paused."}, "paused."),
    ],
)
def test_mail__portuguese__quotes_no_english_of_the_decision_log(
    kind: EventKind, data: dict[str, Any], english: str
) -> None:
    assert english in mail_of(_message(kind, data)).text

    written = mail_of(_message(kind, data, "pt-br"))

    assert english not in written.text
    assert english not in written.html


@pytest.mark.django_db
@pytest.mark.usefixtures("today")
def test_mail__decision__is_sent_with_both_parts_and_no_json() -> None:
    Endpoint.objects.create(name="team", channel=Channel.EMAIL, address="team@example.com")
    allocate(make_running("Button colour"), date=TODAY)

    assert deliver_waiting() is not None

    sent = mail.outbox[0]
    assert isinstance(sent, mail.EmailMultiAlternatives)
    [(html, kind)] = sent.alternatives
    assert kind == "text/html"
    assert "% of traffic" in str(sent.body)
    assert "% of traffic" in _words(str(html))
    assert "shares" not in str(sent.body)
