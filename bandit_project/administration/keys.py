"""API keys: made, listed and revoked. The secret is returned once and stored as a digest only."""

import datetime as dt

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from bandit_project.administration.audit import Subject, record_change
from bandit_project.models import ApiKey, Scope
from experiments.audit import current_actor
from experiments.exceptions import InvalidError, Issue, NotFoundError
from experiments.text import is_name

KEY_NAME_LENGTH = 50
# Fifty years. Far later dates are beyond the calendar.
MOST_DAYS = 18_262

__all__ = ["KEY_NAME_LENGTH", "MOST_DAYS", "Scope", "create_key", "list_keys", "revoke_key"]


def list_keys() -> QuerySet[ApiKey]:
    """Usable keys first, then the newest."""
    return ApiKey.objects.order_by("revoked", "-created")


@transaction.atomic
def create_key(*, name: str, scope: Scope, days: int | None, now: dt.datetime) -> tuple[ApiKey, str]:
    """Make a key that expires after so many days, or never; return it with its secret, which is not stored."""
    _refuse_bad_name(name)
    if days is not None and not 0 < days <= MOST_DAYS:
        message = _("Enter a number of days from 1 to %(most)s.") % {"most": MOST_DAYS}
        raise InvalidError([Issue("days", "out_of_range", message)])
    expiry = None if days is None else now + dt.timedelta(days=days)
    key = ApiKey(name=name, scope=scope, expiry_date=expiry, created_by=current_actor() or "")
    secret = ApiKey.objects.assign_key(key)
    key.save()
    record_change(Subject.KEY, f"{name} ({key.prefix})", "created_with_scope", now, scope=scope.value)
    return key, secret


def _refuse_bad_name(name: str) -> None:
    if not is_name(name) or len(name) > KEY_NAME_LENGTH:
        message = _("Use 1 to %(most)s visible characters.") % {"most": KEY_NAME_LENGTH}
        raise InvalidError([Issue("name", "invalid", message)])


@transaction.atomic
def revoke_key(*, prefix: str, now: dt.datetime) -> ApiKey:
    """Close a key for good. It is named by its prefix, as its id holds the digest."""
    key = ApiKey.objects.select_for_update().filter(prefix=prefix).first()
    if not isinstance(key, ApiKey):
        raise NotFoundError(_("There is no such API key."))
    if not key.revoked:
        ApiKey.objects.filter(pk=key.pk).update(revoked=True)
        record_change(Subject.KEY, f"{key.name} ({key.prefix})", "revoked", now)
    return key
