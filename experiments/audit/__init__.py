"""The audit history of experiments and variants: each change with its author, kept by django-simple-history.

``save()`` records by itself; record_history is for all that bypasses it (guarded updates, bulk writes, changes of the
daily rows). Counts are not kept here.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.db import models
from simple_history.models import HistoricalRecords

ACTOR_LENGTH = 160
REASON_LENGTH = 500
# The actor of a request without a login or a key, where pages or the API are open to all. No login has a space.
NO_LOGIN = "no login"


def audit_history(**options: Any) -> HistoricalRecords:
    """Keep a model's history, with the actor as text, by ``recorded_actor``; nothing for a command."""
    return HistoricalRecords(
        history_user_id_field=models.CharField(max_length=ACTOR_LENGTH, null=True),
        history_user_getter=lambda record: record.history_user_id,
        history_user_setter=_set_actor,
        get_user=lambda **_kwargs: recorded_actor(),
        history_change_reason_field=models.CharField(max_length=REASON_LENGTH, null=True),
        **options,
    )


def record_history(objects: Sequence[Any], *, reason: str = "", created: bool = False) -> None:
    """Record the present state of each object."""
    if objects:
        objects[0].__class__.history.bulk_history_create(
            objects, update=not created, default_change_reason=reason[:REASON_LENGTH]
        )


def record_histories(reasons: Mapping[Any, str]) -> None:
    """Record the present state of each object, each with its own reason."""
    for each, reason in reasons.items():
        each._change_reason = reason[:REASON_LENGTH]
    record_history(list(reasons))


def current_actor() -> str | None:
    """Name who is acting: the API key in ``request.auth``, which DRF sets on Django's request, or ``request.user``.

    The library passes the request on for logged-in people only, so it is taken from where its middleware put it.
    """
    request = getattr(HistoricalRecords.context, "request", None)
    key = getattr(request, "auth", None)
    if key is not None:
        return f"API key {key}"[:ACTOR_LENGTH]
    user = getattr(request, "user", None)
    return str(user)[:ACTOR_LENGTH] if user is not None and user.is_authenticated else None


def recorded_actor() -> str | None:
    """Name who is acting; ``NO_LOGIN`` for a request of somebody unknown, None for a command and the service itself."""
    request = getattr(HistoricalRecords.context, "request", None)
    return current_actor() or (NO_LOGIN if request is not None else None)


def _set_actor(record: Any, actor: str | None) -> None:
    record.history_user_id = actor


class Happened(NamedTuple):
    """An event as a code and its parameters: pages write it in the reader's language."""

    code: str
    facts: dict[str, Any]


def coded(code: str, **facts: Any) -> str:
    """Write what happened as the reason of a record."""
    return json.dumps({"event": code, **facts}, ensure_ascii=False)


def coded_names(names: Sequence[str]) -> dict[str, Any]:
    """Give the facts of a list of names that may be too long to be kept whole."""
    kept: list[str] = []
    for name in names:
        if sum(map(len, kept)) + len(name) > REASON_LENGTH // 3:
            break
        kept.append(name)
    return {"names": kept, "more": len(names) - len(kept)}


def read_reason(reason: str | None) -> Happened | None:
    """Read what coded wrote; None for a sentence of an earlier version or of a person."""
    try:
        facts = json.loads(reason or "")
        return Happened(facts.pop("event"), facts)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
