"""Delivers what the outbox holds: in order for each endpoint, at least once, again and again with growing pauses."""

import datetime as dt
import logging
import time
from typing import NamedTuple

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from experiments.database.locks import only_one
from experiments.events import log_event, log_problem_event
from notifications.channels.kinds import Channel, Message, Result
from notifications.channels.table import send
from notifications.models import Attempt, Delivery, Endpoint
from notifications.outbox import queue_test

logger = logging.getLogger(__name__)

# 30 s, 1 min, 2 min ... 6 h: twenty tries take about two and a half days.
MOST_ATTEMPTS = 20
_FIRST_PAUSE, _LONGEST_PAUSE = dt.timedelta(seconds=30), dt.timedelta(hours=6)
# An endpoint with a long queue leaves time for the others; the rest goes with the next round.
_SECONDS_FOR_EACH = 60


class Delivered(NamedTuple):
    delivered: int
    failed: int


def deliver_waiting() -> Delivered | None:
    """Sends what is due; None where another process is at it."""
    with only_one("deliver") as free:
        if not free:
            return None
        counts = [_deliver_alone(endpoint) for endpoint in Endpoint.objects.filter(is_active=True)]
    return Delivered(sum(done for done, _ in counts), sum(failed for _, failed in counts))


def pause_after(attempts: int) -> dt.timedelta:
    doublings = min(attempts - 1, 20)  # a timedelta has its limits
    return min(_FIRST_PAUSE * (1 << doublings), _LONGEST_PAUSE)


def retry(delivery: Delivery, now: dt.datetime) -> None:
    """Start again with a delivery that was given up or waits for long; it keeps its place in the order."""
    Delivery.objects.filter(pk=delivery.pk).update(
        state=Delivery.State.WAITING, attempts_made=0, next_attempt_at=now
    )


def deliver_test(endpoint: Endpoint, now: dt.datetime) -> Delivery:
    """Send a test at once, and only once: a test that fails holds up nothing."""
    # Failed until it has arrived: it waits for no scheduler, and a crash here holds up nothing behind it.
    delivery = queue_test(endpoint, now, Delivery.State.GIVEN_UP)
    if not _attempt(delivery, endpoint):
        Delivery.objects.filter(pk=delivery.pk).update(state=Delivery.State.GIVEN_UP)
        delivery.state = Delivery.State.GIVEN_UP
    return delivery


def _deliver_alone(endpoint: Endpoint) -> Delivered:
    """A fault of ours, or an endpoint deleted meanwhile, stops no other endpoint."""
    try:
        return _deliver_to(endpoint)
    except Exception:
        logger.exception("delivering failed for endpoint %s", endpoint.pk)
        return Delivered(0, 1)


def _deliver_to(endpoint: Endpoint) -> Delivered:
    """The oldest first; one that fails holds up those behind it, or the order would be lost."""
    delivered, until = 0, time.monotonic() + _SECONDS_FOR_EACH
    while time.monotonic() < until:
        waiting = endpoint.deliveries.waiting().order_by("pk").select_related("event")
        delivery = waiting.first()
        if delivery is None or not _is_due(delivery, timezone.now()):
            break
        if not _attempt(delivery, endpoint):
            return Delivered(delivered, 1)
        delivered += 1
    return Delivered(delivered, 0)


def _is_due(delivery: Delivery, now: dt.datetime) -> bool:
    """True once its time has come, and for a time that no pause reaches: a clock was ahead, and has been set back."""
    return not now < delivery.next_attempt_at <= now + _LONGEST_PAUSE


def _attempt(delivery: Delivery, endpoint: Endpoint) -> bool:
    """Sends, and writes down how it went. A crash between the two sends once more: receivers know the delivery's id."""
    now, start = timezone.now(), time.perf_counter()
    result = send(Channel(endpoint.channel), endpoint.address, _message(delivery, endpoint, now))
    duration = round(1000 * (time.perf_counter() - start))
    with transaction.atomic():
        Attempt.objects.create(
            delivery=delivery, at=now, status_code=result.status_code, problem=result.problem[:300],
            duration_ms=duration,
        )  # fmt: skip
        delivery.attempts_made += 1
        delivery.state = _state_after(delivery, result)
        delivery.next_attempt_at = timezone.now() + pause_after(delivery.attempts_made)
        delivery.save(update_fields=["attempts_made", "state", "next_attempt_at"])
    said = log_event if result.outcome == "delivered" else log_problem_event
    said(
        "delivery.attempted", endpoint=endpoint.pk, delivery=str(delivery.public_id), outcome=result.outcome,
        state=str(delivery.state), status=result.status_code, attempt=delivery.attempts_made,
    )  # fmt: skip
    return result.outcome == "delivered"


def _state_after(delivery: Delivery, result: Result) -> str:
    if result.outcome == "delivered":
        return Delivery.State.DELIVERED
    return Delivery.State.GIVEN_UP if delivery.attempts_made >= MOST_ATTEMPTS else Delivery.State.WAITING


def _message(delivery: Delivery, endpoint: Endpoint, now: dt.datetime) -> Message:
    event = delivery.event
    language = endpoint.language or settings.LANGUAGE_CODE
    return Message(event.kind, event.payload, str(delivery.public_id), endpoint.secret, now, language)
