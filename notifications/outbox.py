"""The outbox: events are written for every endpoint that wants them, in the transaction of what caused them."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from experiments.models import Experiment
from experiments.rows import Columns, rows_of
from notifications.events import EventKind
from notifications.models import Delivery, Endpoint, Event

_ENDPOINT = Columns(Endpoint, "e")
_ACTIVE = f"SELECT {_ENDPOINT.sql} FROM notifications_endpoint e WHERE e.is_active = %s ORDER BY e.name, e.id"  # noqa: S608


class NewEvent(NamedTuple):
    kind: str
    experiment: Experiment | None
    data: Mapping[str, Any]


def active_endpoints() -> list[Endpoint]:
    """Read the endpoints that take events, by hand: every decision asks."""
    return [_ENDPOINT.instance(row) for row in rows_of(_ACTIVE, [True])]


def queue(happened: Sequence[NewEvent], now: dt.datetime) -> int:
    """Queue a delivery for each event and each endpoint that wants it; return how many. Call inside a transaction.

    The endpoints' locks are held until it ends: deliveries appear in the order of their ids, so that none is overtaken.
    """
    if not happened:
        return 0
    endpoints = list(Endpoint.objects.select_for_update(no_key=True).filter(is_active=True).order_by("pk"))
    return _write(
        [
            (event, endpoint)
            for event in (_event(item, now) for item in happened)
            for endpoint in endpoints
            if endpoint.wants(event.kind, event.experiment)
        ],
        now,
    )


def queue_test(
    endpoint: Endpoint, now: dt.datetime, state: Delivery.State = Delivery.State.WAITING
) -> Delivery:
    """Queue a test, which shows whether the endpoint can be reached, whatever events it wants."""
    data = {"message": "This endpoint receives notifications."}
    event = _event(NewEvent(EventKind.TEST, None, data), now)
    event.save(force_insert=True)
    return Delivery.objects.create(
        event=event, endpoint=endpoint, state=state, next_attempt_at=now, created_at=now
    )


def _write(pairs: Sequence[tuple[Event, Endpoint]], now: dt.datetime) -> int:
    Event.objects.bulk_create(list({event.pk: event for event, _ in pairs}.values()))
    Delivery.objects.bulk_create(
        [
            Delivery(event=event, endpoint=endpoint, next_attempt_at=now, created_at=now)
            for event, endpoint in pairs
        ]
    )
    return len(pairs)


def _event(happened: NewEvent, now: dt.datetime) -> Event:
    event = Event(kind=happened.kind, experiment=happened.experiment, created_at=now)
    event.payload = {
        "id": str(event.pk),
        "type": str(happened.kind),
        "created_at": now.isoformat(),
        "experiment": _named(happened.experiment),
        "data": dict(happened.data),
    }
    return event


def _named(experiment: Experiment | None) -> dict[str, Any] | None:
    if experiment is None:
        return None
    return {"id": experiment.pk, "key": experiment.key, "name": experiment.name}
