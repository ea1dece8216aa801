"""The retention of the delivery log."""

import datetime as dt

from django.db.models import Exists, OuterRef

from notifications.models import Alarm, Delivery, Event

_BATCH = 500


def prune_notifications(*, before: dt.datetime) -> int:
    """Delete events from before then that wait for no endpoint, with their deliveries and attempts; return how many.

    Alarms that have ended go too; one that is open stays, or it would be raised again.
    """
    Alarm.objects.filter(cleared_at__lt=before).delete()
    waiting = Delivery.objects.filter(event=OuterRef("pk"), state=Delivery.State.WAITING)
    old = Event.objects.filter(~Exists(waiting), created_at__lt=before).order_by("pk")
    deleted = 0
    while batch := list(old.values_list("pk", flat=True)[:_BATCH]):
        Event.objects.filter(pk__in=batch).delete()
        deleted += len(batch)
    return deleted
