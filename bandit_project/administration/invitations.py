"""Links by which invited people open their accounts: signed, for some days, and each works once.

A link holds the user and the moment of the invitation. It ends when the invitation is accepted or sent again.
"""

import datetime as dt
import smtplib

from django.conf import settings
from django.contrib.auth.models import User
from django.core import signing
from django.core.mail import send_mail
from django.db import transaction
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from bandit_project.administration.audit import Subject, record_change
from bandit_project.models import UserSettings
from experiments.events import log_problem_event

INVITATION_DAYS = 7
_SALT = "bandit.invitation"
# Backends that deliver nothing: their mails are for the log of a developer.
_NO_SERVERS = {"console", "dummy"}


def has_expired(invited_at: dt.datetime, now: dt.datetime) -> bool:
    return now - invited_at > dt.timedelta(days=INVITATION_DAYS)


def invitation_token(user: User) -> str:
    """Sign the open invitation of a user."""
    invited_at = UserSettings.objects.get(user=user).invited_at
    return signing.dumps([user.pk, invited_at.isoformat() if invited_at else ""], salt=_SALT)


def find_invited(token: str, now: dt.datetime) -> User | None:
    """Find whom a link invites; None for a link that is wrong, expired, used or replaced."""
    try:
        user_id, moment = signing.loads(token, salt=_SALT)
        invited_at = dt.datetime.fromisoformat(moment)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    if has_expired(invited_at, now):
        return None
    user = User.objects.filter(pk=user_id, is_active=True, preferences__invited_at=invited_at).first()
    # who has got a password in another way, such as in the admin, has an account that is in use
    return None if user is None or user.has_usable_password() else user


@transaction.atomic
def accept_invitation(*, user: User, password: str, now: dt.datetime) -> bool:
    """Set the password and close the invitation; False where it was closed meanwhile."""
    if not UserSettings.objects.filter(user=user, invited_at__isnull=False).update(invited_at=None):
        return False
    user.set_password(password)
    user.save(update_fields=["password"])
    record_change(Subject.USER, user.get_username(), "accepted", now)
    return True


def has_mail_server() -> bool:
    return settings.EMAIL_BACKEND.split(".")[-2] not in _NO_SERVERS


def send_invitation(*, user: User, link: str) -> bool:
    """Mail the link; False where there is no mail server or it refuses: the link has to be passed on by hand."""
    if not has_mail_server():
        return False
    body = render_to_string("mail/invitation.txt", {"link": link, "user": user, "days": INVITATION_DAYS})
    try:
        send_mail(_("Your invitation to Bandit"), body, None, [user.email])
    except (OSError, smtplib.SMTPException) as error:
        log_problem_event("invitation.not_sent", user=user.pk, problem=type(error).__name__)
        return False
    return True
