"""Deliveries arrive: signed, in order, at least once, however long the receiver was away; and never inside."""

import datetime as dt
import ipaddress
import json
import re
import socket
import threading
from typing import Any

import pytest
from django.core import mail
from django.db import connection, transaction
from pytest_django import Settings

from allocation.models import Allocation
from experiments.database.locks import only_one
from notifications.addresses import is_public
from notifications.channels.kinds import Channel
from notifications.delivery import MOST_ATTEMPTS, Delivered, deliver_waiting, pause_after, retry
from notifications.models import Attempt, Delivery, Endpoint, Event
from notifications.outbox import NewEvent, queue
from tests.conftest import ROOT
from tests.factory import NOW, allocate, counts, make_experiment, make_running, record
from tests.notifications.receiver import Receiver

pytestmark = pytest.mark.django_db


@pytest.fixture
def receiver(settings: Settings) -> Receiver:
    """Down to begin with; its port is known."""
    settings.WEBHOOK_ALLOW_PRIVATE = True
    receiver = Receiver()
    with receiver.up():
        pass
    return receiver


class Clock:
    now = NOW


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("django.utils.timezone.now", lambda: clock.now)
    return clock


def _endpoint(receiver: Receiver, **fields: Any) -> Endpoint:
    given = {"name": "ops", "address": receiver.url, "secret": "whsec_test"}
    return Endpoint.objects.create(**{**given, **fields})


def _queue(*messages: str) -> None:
    with transaction.atomic():
        queue([NewEvent("test", None, {"message": message}) for message in messages], NOW)


def _messages(receiver: Receiver) -> list[str]:
    return [json.loads(received.body)["data"]["message"] for received in receiver.received]


def _verifier() -> Any:
    """The function that docs/operations.md gives to receivers."""
    code = re.findall(r"```python\n(.*?)```", (ROOT / "docs/operations.md").read_text(), re.S)[0]
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102  # the document's own code
    return names["is_genuine"]


def test_delivery__clock_was_a_year_ahead__waits_no_longer_than_any_other(
    receiver: Receiver, clock: Clock
) -> None:
    _endpoint(receiver)
    _queue("first")
    clock.now += dt.timedelta(days=365)
    assert deliver_waiting() == Delivered(0, 1)
    clock.now = NOW

    with receiver.up():
        assert deliver_waiting() == Delivered(1, 0)


def test_delivery__receiver_down_for_a_while__gets_everything_once_it_is_back_in_order(
    receiver: Receiver, clock: Clock
) -> None:
    _endpoint(receiver)
    _queue("first", "second")
    assert deliver_waiting() == Delivered(0, 1)
    clock.now += dt.timedelta(minutes=1)
    _queue("third")
    assert deliver_waiting() == Delivered(0, 1)  # the first again; what is behind it waits
    clock.now += dt.timedelta(hours=1)

    with receiver.up():
        assert deliver_waiting() == Delivered(3, 0)
        assert deliver_waiting() == Delivered(0, 0)

    assert _messages(receiver) == ["first", "second", "third"]
    assert len({received.headers["X-Bandit-Delivery"] for received in receiver.received}) == 3
    assert list(Attempt.objects.values_list("delivery__event__payload__data__message", "status_code")) == [
        ("first", None), ("first", None), ("first", 204), ("second", 204), ("third", 204),
    ]  # fmt: skip


def test_delivery__what_the_handbook_verifies__is_genuine_and_nothing_else_is(receiver: Receiver) -> None:
    _endpoint(receiver)
    _queue("hello")

    with receiver.up():
        deliver_waiting()

    (received,) = receiver.received
    is_genuine, header = _verifier(), received.headers["X-Bandit-Signature"]
    assert received.path == "/hook?for=bandit"
    assert received.headers["X-Bandit-Event"] == "test"
    assert is_genuine("whsec_test", received.body, header)
    assert not is_genuine("whsec_other", received.body, header)
    assert not is_genuine("whsec_test", received.body + b" ", header)
    time_, _, rest = header.partition(",")
    old = f"t={int(time_[2:]) - 3600},{rest}"
    assert not is_genuine("whsec_test", received.body, old)
    assert not is_genuine("whsec_test", received.body, "nonsense")


@pytest.mark.parametrize("status", [302, 400, 404, 429, 500, 503])
def test_delivery__any_answer_but_success__is_tried_again_and_not_followed(
    receiver: Receiver, clock: Clock, status: int
) -> None:
    _endpoint(receiver)
    _queue("hello")
    receiver.status = status

    with receiver.up():
        assert deliver_waiting() == Delivered(0, 1)
        assert deliver_waiting() == Delivered(0, 0)  # not yet due
        clock.now += dt.timedelta(seconds=31)
        receiver.status = 200
        assert deliver_waiting() == Delivered(1, 0)

    assert [received.path for received in receiver.received] == ["/hook?for=bandit"] * 2
    assert len({received.headers["X-Bandit-Delivery"] for received in receiver.received}) == 1


def test_delivery__one_endpoint_down__others_get_theirs(receiver: Receiver) -> None:
    away = _endpoint(receiver, name="away", address="http://127.0.0.1:1/")
    _endpoint(receiver)
    _queue("hello")

    with receiver.up():
        assert deliver_waiting() == Delivered(1, 1)

    assert away.deliveries.get().state == Delivery.State.WAITING


def test_delivery__name_that_cannot_be_looked_up__is_a_failure_of_its_own(receiver: Receiver) -> None:
    misspelt = _endpoint(receiver, name="a", address="http://hooks..example.com/")
    _endpoint(receiver)
    _queue("hello")

    with receiver.up():
        assert deliver_waiting() == Delivered(1, 1)

    assert "UnicodeError" in misspelt.deliveries.get().attempts.get().problem


def test_delivery__fault_of_ours__stops_no_other_endpoint(receiver: Receiver) -> None:
    broken = _endpoint(receiver, name="a", channel=Channel.EMAIL, address="a@example.com")
    _endpoint(receiver)
    _queue("hello")
    # a mail's sentence needs what this event lacks
    Event.objects.update(kind="data.missing")

    with receiver.up():
        assert deliver_waiting() == Delivered(1, 1)

    assert broken.deliveries.get().state == Delivery.State.WAITING


def test_delivery__never_taken__is_given_up_and_can_be_tried_again(receiver: Receiver, clock: Clock) -> None:
    endpoint = _endpoint(receiver)
    _queue("hello")
    for _ in range(MOST_ATTEMPTS):
        deliver_waiting()
        clock.now += dt.timedelta(hours=7)
    delivery = endpoint.deliveries.get()
    assert (delivery.state, delivery.attempts_made) == (Delivery.State.GIVEN_UP, MOST_ATTEMPTS)
    assert deliver_waiting() == Delivered(0, 0)

    retry(delivery, clock.now)

    with receiver.up():
        assert deliver_waiting() == Delivered(1, 0)


def test_pause__grows_and_has_an_end() -> None:
    seconds = [pause_after(n).total_seconds() for n in (1, 2, 3, 10, 11, 60)]

    assert seconds == [30, 60, 120, 15360, 21600, 21600]


def test_endpoint__inactive_or_of_another_kind__gets_nothing(receiver: Receiver) -> None:
    _endpoint(receiver, is_active=False)
    _endpoint(receiver, events=["leader.found"])

    _queue("hello")

    assert not Event.objects.exists()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "::1", "fe80::1", "fd00::1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
        "::7f00:1", "::ffff:0:7f00:1", "fec0::1", "64:ff9b:1::7f00:1",
        "192.0.0.8", "192.88.99.1", "3fff::1", "168.63.129.16", "64:ff9b::a83f:8110",
    ],
)  # fmt: skip
def test_address__inside__is_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34"])
def test_address__outside__is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "0x7f.1", "2130706433"]
)
def test_delivery__to_an_internal_address__is_refused_without_a_connection(
    receiver: Receiver, settings: Settings, host: str
) -> None:
    settings.WEBHOOK_ALLOW_PRIVATE = False
    endpoint = _endpoint(receiver, address=f"https://{host}:{receiver.port}/")
    _queue("hello")

    with receiver.up():
        assert deliver_waiting() == Delivered(0, 1)

    assert receiver.received == []
    assert "is not public" in endpoint.deliveries.get().attempts.get().problem


def test_delivery__name_that_leads_outside_and_inside__is_refused(
    receiver: Receiver, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WEBHOOK_ALLOW_PRIVATE = False
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 443)) for a in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: both)
    endpoint = _endpoint(receiver, address="https://rebinding.example.com/")
    _queue("hello")

    deliver_waiting()

    assert "leads to 10.0.0.1" in endpoint.deliveries.get().attempts.get().problem


def test_delivery__plain_http_outside__is_refused(receiver: Receiver, settings: Settings) -> None:
    settings.WEBHOOK_ALLOW_PRIVATE = False
    endpoint = _endpoint(receiver)
    _queue("hello")

    deliver_waiting()

    assert "must begin with https://" in endpoint.deliveries.get().attempts.get().problem


def test_delivery__receiver_that_never_answers__is_cut_off(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notifications.transport._TOTAL_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = _endpoint(receiver, address=f"http://127.0.0.1:{silent.getsockname()[1]}/")
        _queue("hello")

        assert deliver_waiting() == Delivered(0, 1)

    assert endpoint.deliveries.get().attempts.get().duration_ms < 5000


def test_email__event__is_a_mail_in_plain_words(receiver: Receiver) -> None:
    _endpoint(receiver, channel=Channel.EMAIL, address="team@example.com")
    allocate(make_running("Button\ncolour"), date=dt.date(2030, 1, 1))

    assert deliver_waiting() == Delivered(1, 0)

    (sent,) = mail.outbox
    assert (sent.subject, sent.to) == ("[bandit] Button colour: Allocation changed", ["team@example.com"])
    assert "Traffic is split differently from 1 Jan 2030: variant_b leads" in str(sent.body)


def test_email__server_away__is_tried_again(receiver: Receiver, settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    endpoint = _endpoint(receiver, channel=Channel.EMAIL, address="team@example.com")
    _queue("hello")

    assert deliver_waiting() == Delivered(0, 1)
    assert "ConnectionRefusedError" in endpoint.deliveries.get().attempts.get().problem


@pytest.mark.django_db(transaction=True)
def test_delivery__another_process_at_it__waits_its_turn(receiver: Receiver) -> None:
    _endpoint(receiver)
    _queue("hello")
    held, done, found = threading.Event(), threading.Event(), []

    def other() -> None:
        with only_one("deliver") as free:
            found.append(free)
            held.set()
            done.wait(30)
        connection.close()

    thread = threading.Thread(target=other)
    thread.start()
    held.wait(30)
    try:
        assert (found, deliver_waiting()) == ([True], None)
    finally:
        done.set()
        thread.join()


def test_email__event_of_an_earlier_version__is_an_attempt_that_failed(receiver: Receiver) -> None:
    endpoint = _endpoint(receiver, channel=Channel.EMAIL, address="team@example.com")
    event = Event.objects.create(
        kind="leader.found", payload={"experiment": None, "data": {}}, created_at=NOW
    )
    delivery = Delivery.objects.create(event=event, endpoint=endpoint, next_attempt_at=NOW, created_at=NOW)

    assert deliver_waiting() == Delivered(0, 1)

    delivery.refresh_from_db()
    assert delivery.attempts_made == 1
    assert "KeyError" in Attempt.objects.get().problem


@pytest.mark.django_db(transaction=True)
def test_outbox__decision_rolled_back__leaves_no_event(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    _endpoint(receiver)
    experiment = make_experiment()
    today = dt.date(2030, 1, 1)
    record(experiment, counts("control", 10, 1, date=today), today=today)

    def fails(*args: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("allocation.services._log_decision", fails)
    with pytest.raises(ZeroDivisionError):
        allocate(experiment, today)

    assert (Allocation.objects.count(), Event.objects.count()) == (0, 0)
