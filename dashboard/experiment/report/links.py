"""Links to a report: made, found again by their token, revoked."""

import datetime as dt
import hashlib
import secrets

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from dashboard.models import ReportLink
from experiments.audit import coded, current_actor, record_history
from experiments.exceptions import ConflictError, InvalidError, Issue
from experiments.models import Experiment
from experiments.selectors import find_experiment

DAYS = (7, 30, 90, 365)
MOST_LINKS = 50
_TOKEN_BYTES = 32


def open_links(experiment: Experiment, now: dt.datetime) -> QuerySet[ReportLink]:
    """The links that work, the newest first."""
    return experiment.report_links.filter(revoked_at=None, expires_at__gt=now)


def create_link(*, experiment: Experiment, days: int, now: dt.datetime) -> str:
    """Make a link for so many days; return its token, which is not stored."""
    if days not in DAYS:
        message = _("Choose one of these numbers of days: %(days)s.") % {"days": ", ".join(map(str, DAYS))}
        raise InvalidError([Issue("days", "invalid", message)])
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    expires_at = now + dt.timedelta(days=days)
    with transaction.atomic():
        find_experiment(experiment.pk, Experiment.objects.select_for_update())
        if open_links(experiment, now).count() >= MOST_LINKS:
            message = _("There are %(most)s links already: revoke one first.")
            raise ConflictError(message % {"most": MOST_LINKS})
        experiment.report_links.create(
            digest=_digest(token),
            created_by=current_actor() or "",
            created_at=now,
            expires_at=expires_at,
        )
        _record(experiment, coded("report.link_made", until=_day_of(expires_at)))
    return token


def find_link(token: str, now: dt.datetime) -> ReportLink | None:
    """Find the link of a token; None for one that is wrong, expired or revoked."""
    return ReportLink.objects.filter(digest=_digest(token), revoked_at=None, expires_at__gt=now).first()


def revoke_link(*, experiment: Experiment, link_id: int, now: dt.datetime) -> None:
    """Close a link for good; one that is closed already stays as it was."""
    found = experiment.report_links.filter(pk=link_id, revoked_at=None)
    with transaction.atomic():
        made = found.values_list("created_at", flat=True).first()
        if made and found.update(revoked_at=now, revoked_by=current_actor() or ""):
            _record(experiment, coded("report.link_revoked", made=_day_of(made)))


def _record(experiment: Experiment, reason: str) -> None:
    """Keep it in the history of the experiment as it is now, which may have changed since the page read it."""
    record_history(list(Experiment.objects.filter(pk=experiment.pk)), reason=reason)


def _day_of(moment: dt.datetime) -> str:
    return timezone.localdate(moment).isoformat()


def _digest(token: str) -> str:
    """Digest a token. It is long and random, so that no salt and no slow function is needed."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
