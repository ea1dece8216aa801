"""Who changed what: the audit history of experiments and variants, kept by django-simple-history.

``save()`` records by itself; what goes around it (guarded updates, bulk writes, changes of the daily rows) calls
record_history. Counters are never kept here.
"""

from collections.abc import Sequence
from typing import Any

from django.db import models
from simple_history.models import HistoricalRecords

_ACTOR_LENGTH = 160


def audit_history(**options: Any) -> HistoricalRecords:
    """The history of a model, with the actor as text: a login, an API key's name, or nothing for a command."""
    return HistoricalRecords(
        history_user_id_field=models.CharField(max_length=_ACTOR_LENGTH, null=True),
        history_user_getter=lambda record: record.history_user_id,
        history_user_setter=_set_actor,
        get_user=_actor,
        history_change_reason_field=models.CharField(max_length=500, null=True),
        **options,
    )


def record_history(objects: Sequence[Any], *, reason: str = "", created: bool = False) -> None:
    """One record each, of what the objects hold now."""
    if objects:
        objects[0].__class__.history.bulk_history_create(
            objects, update=not created, default_change_reason=reason[:500]
        )


def _actor(**kwargs: Any) -> str | None:
    """An API key is ``request.auth``, which DRF leaves on Django's request; a person is ``request.user``.

    The library hands the request on for logged-in people only, so it is taken from where its middleware put it.
    """
    request = getattr(HistoricalRecords.context, "request", None)
    key = getattr(request, "auth", None)
    if key is not None:
        return f"API key {key}"[:_ACTOR_LENGTH]
    user = getattr(request, "user", None)
    return str(user)[:_ACTOR_LENGTH] if user is not None and user.is_authenticated else None


def _set_actor(record: Any, actor: str | None) -> None:
    record.history_user_id = actor
