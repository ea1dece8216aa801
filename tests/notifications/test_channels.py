"""Channels beside the webhook: chats, services, their words, and what they refuse."""

import json
from typing import Any

import pytest
from django.core import mail
from pytest_django import Settings

from bandit_project.administration.channels import (
    Wanted,
    change_channel,
    create_channel,
    delete_channel,
    renew_secret,
    retry_delivery,
    send_test,
)
from bandit_project.models import AdministrationChange
from experiments.exceptions import ConflictError, InvalidError
from experiments.models import Experiment
from notifications.channels.apprise_services import SCHEMAS, address_problem
from notifications.channels.kinds import Channel, Message
from notifications.channels.wording import words_of
from notifications.delivery import Delivered, deliver_waiting
from notifications.events import EVENT_TYPES, EventKind
from notifications.models import Attempt, Delivery, Endpoint
from notifications.outbox import NewEvent, queue
from notifications.problems import plain_problem
from tests.factory import NOW, make_experiment
from tests.notifications.receiver import Receiver

pytestmark = [pytest.mark.django_db, pytest.mark.database_free, pytest.mark.usefixtures("today")]

LED = {"leader": "benefit", "probability_best": 0.9712, "target_date": "2025-09-01", "value_remaining": 0.02}


@pytest.fixture
def receiver(settings: Settings) -> Receiver:
    settings.WEBHOOK_ALLOW_PRIVATE = True
    receiver = Receiver()
    with receiver.up():
        pass
    return receiver


def _channel(receiver: Receiver, **fields: Any) -> Endpoint:
    given = {"name": "team", "channel": Channel.SLACK, "address": receiver.url}
    return Endpoint.objects.create(**{**given, **fields})


def _leads(experiment: Experiment | None = None) -> None:
    queue([NewEvent(EventKind.LEADER_FOUND, experiment, LED)], NOW)


def _sent(receiver: Receiver) -> Any:
    with receiver.up():
        assert deliver_waiting() == Delivered(1, 0)
    return json.loads(receiver.received[-1].body)


def test_slack__event_about_a_name_with_markup__is_plain_text(receiver: Receiver) -> None:
    _channel(receiver)
    _leads(make_experiment("<!channel> & co"))

    assert _sent(receiver) == {
        "text": "*&lt;!channel&gt; &amp; co: Leader (95%)*\nbenefit leads: its probability to be best is 97.1%."
    }


def test_discord__event__mentions_nobody(receiver: Receiver) -> None:
    _channel(receiver, channel=Channel.DISCORD)
    _leads(make_experiment("@everyone"))

    sent = _sent(receiver)
    assert sent["content"].startswith("**@everyone: Leader (95%)**\nbenefit leads")
    assert sent["allowed_mentions"] == {"parse": []}


def test_teams__event__is_an_adaptive_card(receiver: Receiver) -> None:
    _channel(receiver, channel=Channel.TEAMS)
    _leads(make_experiment("Headline"))

    (attachment,) = _sent(receiver)["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert [block["text"] for block in attachment["content"]["body"]] == [
        "Headline: Leader (95%)",
        "benefit leads: its probability to be best is 97.1%.",
    ]


@pytest.mark.parametrize("channel", [Channel.SLACK, Channel.TEAMS, Channel.DISCORD])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "2130706433"])
def test_chat__address_inside__is_refused_without_a_connection(
    receiver: Receiver, settings: Settings, channel: Channel, host: str
) -> None:
    settings.WEBHOOK_ALLOW_PRIVATE = False
    endpoint = _channel(receiver, channel=channel, address=f"https://{host}:{receiver.port}/")
    _leads()

    with receiver.up():
        assert deliver_waiting() == Delivered(0, 1)

    assert receiver.received == []
    attempt = endpoint.deliveries.get().attempts.get()
    assert plain_problem(attempt) == "The address leads into a private network, which is not allowed."


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd", "syslog://", "dbus://", "exec://ls", "windows://", "macosx://", "json://127.0.0.1/",
        "jsons://10.0.0.1/", "xml://localhost/", "form://localhost/", "apprise://127.0.0.1/token", "http://127.0.0.1/",
        "https://hooks.slack.com/services/A/B/C", "mailto://user:pass@10.0.0.1", "ntfy://127.0.0.1/topic",
        "gotify://127.0.0.1/token", "matrix://127.0.0.1", "mmost://127.0.0.1/token", "rocket://127.0.0.1",
        "workflows://127.0.0.1/a/b", "zulip://bot@org.internal.example/token", "signal://127.0.0.1/1/2",
        "TGRAM://123456789:abcdefghijklmnopqrstuvwxyzabcdefghi/1", "tgram://", "tgram", "",
        "tgram://123456789:abcdefg_hijklmnop/?image=yes", "pover://u@t?template=/etc/passwd", "pover://u@t#x",
        "tgram://é/1", "pover://bad",
    ],
)  # fmt: skip
def test_service__url_that_leads_elsewhere_or_is_wrong__is_refused(address: str) -> None:
    assert address_problem(address)


@pytest.mark.parametrize(
    "address",
    [
        "tgram://123456789:abcdefg_hijklmnopqrstuvwxyzabcdefg/12315544/",
        "pover://uuuuuuuuuuuuuuuuuuuuuuuuuuuuuu@aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "gchat://workspace/webhookkey/webhooktoken",
    ],
)
def test_service__known_url__is_accepted(address: str) -> None:
    assert address_problem(address) is None


def test_services__in_the_installed_library__none_takes_a_host() -> None:
    from apprise import Apprise

    hosts = {
        schema: [template for template in found["details"]["templates"] if "{host}" in template]
        for found in Apprise().details()["schemas"]
        for schema in [*(found["protocols"] or ()), *(found["secure_protocols"] or ())]
    }

    assert {schema: hosts.get(schema) for schema in SCHEMAS} == {schema: [] for schema in SCHEMAS}


def test_words__each_kind_of_event__are_translated(settings: Settings) -> None:
    facts = {
        **LED, "reason": "r", "p_value": 0.0004, "days": 3, "since": "2025-08-01", "variant": "b", "max_fall": 5.0,
        "ratio": "conversion rate", "starts_at": "s", "ends_at": "e", "outcome": "o", "winner": "w", "message": "m",
    }  # fmt: skip
    payload = {"experiment": None, "data": facts}

    said = {
        language: [words_of(Message(kind, payload, "", "", NOW, language)) for kind in EVENT_TYPES]
        for language in ("en", "pt-br")
    }

    assert said["en"][2].sentence.endswith(
        " can be chosen: with 95% probability no other variant is more than 1% better."
    )
    assert "(p = 0.0004)" in said["en"][3].sentence
    assert "5% below" in said["en"][6].sentence
    assert all("{" not in words.sentence for words in said["en"] + said["pt-br"])


def test_endpoint__with_tags__gets_only_what_is_about_such_experiments(receiver: Receiver) -> None:
    _channel(receiver, tags="shop mobile")
    for tags in ("", "web", "web Mobile", "mobiles"):
        _leads(make_experiment(f"about {tags}", tags=tags))

    assert [d.event.experiment.name for d in Delivery.objects.all() if d.event.experiment] == [
        "about web Mobile"
    ]


@pytest.mark.parametrize(
    ("channel", "address", "shown"),
    [
        (Channel.SLACK, "https://hooks.slack.com/services/T0/B0/secret", "https://hooks.slack.com/…"),
        (Channel.WEBHOOK, "https://example.com:8443?token=secret", "https://example.com:8443/…"),
        (Channel.WEBHOOK, "https://example.com#secret", "https://example.com/…"),
        (Channel.SERVICE, "tgram://123:secret/1", "tgram://…"),
        (Channel.EMAIL, "team@example.com", "team@example.com"),
    ],
)
def test_masked_address__of_each_kind__holds_no_secret(channel: str, address: str, shown: str) -> None:
    masked = Endpoint(channel=channel, address=address).masked_address

    assert masked == shown


def _wanted(**fields: Any) -> Wanted:
    given = {
        "name": "team",
        "channel": Channel.SLACK,
        "address": "https://hooks.slack.com/services/T0/B0/secret",
    }
    return Wanted(**{**given, **fields})


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"), ({"name": "a" * 101}, "name"), ({"address": "ftp://x"}, "address"),
        ({"address": ""}, "address"), ({"address": f"https://example.com/{'a' * 500}"}, "address"),
        ({"channel": Channel.EMAIL}, "address"), ({"channel": Channel.SERVICE}, "address"),
        ({"events": ["nothing"]}, "events"), ({"events": ["test"]}, "events"),
        ({"tags": " ".join(f"tag{n}" for n in range(100))}, "tags"), ({"language": "xx"}, "language"),
    ],
)  # fmt: skip
def test_create__with_a_wrong_field__names_it_and_stores_nothing(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidError) as refused:
        create_channel(wanted=_wanted(**fields), now=NOW)

    assert [issue.field for issue in refused.value.issues] == [field]
    assert not Endpoint.objects.exists()


def test_change__without_an_address__keeps_the_stored_one() -> None:
    made = create_channel(wanted=_wanted(), now=NOW)

    change_channel(channel_id=made.pk, wanted=_wanted(name="all", address="", tags="Shop, web shop"), now=NOW)

    stored = Endpoint.objects.get()
    assert (stored.name, stored.address, stored.tags) == ("all", made.address, "shop web")


def test_change__to_another_kind_without_an_address__is_refused() -> None:
    made = create_channel(wanted=_wanted(), now=NOW)

    with pytest.raises(InvalidError):
        change_channel(channel_id=made.pk, wanted=_wanted(channel=Channel.EMAIL, address=""), now=NOW)


def test_changes__of_channels__hold_no_secret() -> None:
    made = create_channel(
        wanted=_wanted(channel=Channel.WEBHOOK, address="https://example.com/secret"), now=NOW
    )
    before = made.secret
    change_channel(channel_id=made.pk, wanted=_wanted(address="https://example.com/secret2"), now=NOW)
    change_channel(
        channel_id=made.pk, wanted=_wanted(channel=Channel.WEBHOOK, address="https://example.com/s"), now=NOW
    )
    assert renew_secret(channel_id=made.pk, now=NOW).secret != before
    delete_channel(channel_id=made.pk, now=NOW)

    rows = list(AdministrationChange.objects.order_by("pk").values_list("action", "facts"))
    assert rows == [
        ("created", {}),
        ("changed", {"fields": "channel, address"}),
        ("changed", {"fields": "channel, address"}),
        ("changed", {"fields": "secret"}),
        ("deleted", {}),
    ]


def test_renew_secret__of_a_chat__is_refused() -> None:
    made = create_channel(wanted=_wanted(), now=NOW)

    with pytest.raises(ConflictError, match="Only webhooks"):
        renew_secret(channel_id=made.pk, now=NOW)


def test_test__receiver_up__arrives_at_once(receiver: Receiver) -> None:
    endpoint = _channel(receiver, events=["leader.found"])

    with receiver.up():
        delivery = send_test(channel_id=endpoint.pk, now=NOW)

    assert delivery.state == Delivery.State.DELIVERED
    assert "A test: this channel receives notifications." in json.loads(receiver.received[0].body)["text"]


def test_test__receiver_down__is_given_up_and_holds_up_nothing(receiver: Receiver) -> None:
    endpoint = _channel(receiver)

    delivery = send_test(channel_id=endpoint.pk, now=NOW)

    assert (delivery.state, Delivery.objects.get().state) == ("given_up", "given_up")
    assert plain_problem(Attempt.objects.get()) == "Nothing accepts connections at this address."
    assert deliver_waiting() == Delivered(0, 0)


def test_test__breaks_off_while_it_is_sent__holds_up_nothing(receiver: Receiver, settings: Settings) -> None:
    endpoint = _channel(receiver, channel=Channel.EMAIL, address="a@example.com")
    backend, settings.EMAIL_BACKEND = settings.EMAIL_BACKEND, "no.such.Backend"
    with pytest.raises(ImportError):
        send_test(channel_id=endpoint.pk, now=NOW)
    settings.EMAIL_BACKEND = backend

    _leads()

    assert deliver_waiting() == Delivered(1, 0)


def test_retry__delivery_given_up__is_sent_and_one_that_waits_is_refused(receiver: Receiver) -> None:
    endpoint = _channel(receiver)
    _leads()
    delivery = Delivery.objects.get()
    with pytest.raises(ConflictError, match="has not failed"):
        retry_delivery(channel_id=endpoint.pk, delivery_id=delivery.pk, now=NOW)
    Delivery.objects.update(state=Delivery.State.GIVEN_UP)

    retry_delivery(channel_id=endpoint.pk, delivery_id=delivery.pk, now=NOW)

    with receiver.up():
        assert deliver_waiting() == Delivered(1, 0)


@pytest.mark.parametrize(
    ("status", "problem", "said"),
    [
        (200, "", ""), (204, "", ""), (302, "answered 302", "answered 302 instead"), (401, "", "credentials"),
        (404, "", "nothing at this address"), (410, "", "closed"), (429, "", "too many"),
        (503, "", "has a fault (503)"),
        (None, "gaierror: [Errno -2] Name or service not known", "name is unknown"),
        (None, "TimeoutError: timed out", "in time"), (None, "SSLCertVerificationError: x", "certificate"),
        (None, "SMTPRecipientsRefused: x", "mail server"), (None, "KeyError: 'x'", "could not be sent: KeyError"),
        (None, "x leads to 10.0.0.1, which is not public", "private network"),
    ],
)  # fmt: skip
def test_plain_problem__of_an_attempt__says_what_to_do(status: int | None, problem: str, said: str) -> None:
    assert said in plain_problem(Attempt(status_code=status, problem=problem))
    assert bool(plain_problem(Attempt(status_code=status, problem=problem))) == bool(said)


def test_email__in_another_language__is_in_that_language(receiver: Receiver) -> None:
    _channel(receiver, channel=Channel.EMAIL, address="team@example.com", language="pt-br")
    _leads(make_experiment("Headline"))

    assert deliver_waiting() == Delivered(1, 0)

    assert "97,1%" in str(mail.outbox[0].body)
