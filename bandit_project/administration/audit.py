"""The record of changes to users, API keys and channels, and its sentences."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bandit_project.models import AdministrationChange, Scope
from experiments.audit import current_actor
from experiments.events import log_event_on_commit
from experiments.roles import Role
from experiments.text import Text

Subject = AdministrationChange.Subject
MOST_CHANGES = 200

# What each action says, filled in with its facts.
_SENTENCES: Mapping[str, Text] = {
    "invited": gettext_lazy("Invited as %(role)s"),
    "invited_again": gettext_lazy("Invited again"),
    "accepted": gettext_lazy("Accepted the invitation"),
    "role_changed": gettext_lazy("Role changed from %(before)s to %(after)s"),
    "deactivated": gettext_lazy("Deactivated"),
    "reactivated": gettext_lazy("Reactivated"),
    "created": gettext_lazy("Created"),
    "created_with_scope": gettext_lazy("Created with the scope %(scope)s"),
    "revoked": gettext_lazy("Revoked"),
    "changed": gettext_lazy("Changed: %(fields)s"),
    "deleted": gettext_lazy("Deleted"),
}


class Recorded(NamedTuple):
    """A change as pages show it; ``actor`` is empty for a command."""

    at: dt.datetime
    actor: str
    subject: str
    name: str
    sentence: str


def record_change(subject: Subject, name: str, action: str, now: dt.datetime, **facts: str) -> None:
    """Write down a change in the transaction that makes it, with who is acting."""
    AdministrationChange.objects.create(
        at=now, actor=current_actor() or "", subject=subject, name=name[:200], action=action, facts=facts
    )
    log_event_on_commit(f"administration.{subject.value}_{action}")


def recent_changes() -> list[Recorded]:
    """List the changes, newest first, at most MOST_CHANGES."""
    return [
        Recorded(row.at, row.actor, row.get_subject_display(), row.name, _sentence(row.action, row.facts))
        for row in AdministrationChange.objects.all()[:MOST_CHANGES]
    ]


def _sentence(action: str, facts: Mapping[str, Any]) -> str:
    shown = {name: _fact(name, str(value)) for name, value in facts.items()}
    return str(_SENTENCES.get(action, action)) % shown


def _fact(name: str, value: str) -> str:
    """Write a fact in the reader's language: roles and scopes by their labels, fields by their words."""
    if name == "scope":
        return str(Scope(value).label)
    if name == "fields":
        return ", ".join(_(field.replace("_", " ")) for field in value.split(", "))
    return next((str(role.label) for role in Role if role.group == value), value or "–")
