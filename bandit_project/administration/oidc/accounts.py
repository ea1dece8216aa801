"""Whose account a log-in means: by issuer and subject each time, by a verified email address the first time only.

An address may change hands, and a provider may let people choose theirs. So it counts only if the provider says that
it is verified, and never leads to an account that somebody else of the provider's has. Here anybody may write any
address into the own profile: an account found by that alone is from then on theirs who proved the address, and no
password opens it.
"""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from bandit_project.administration.groups import (
    accept_invitation,
    complete_account,
    differs_in_case_alone,
    follow_groups,
    highest_role,
)
from bandit_project.administration.oidc.provider import OidcError
from bandit_project.administration.users import EMAIL_LENGTH
from bandit_project.models import OidcIdentity
from experiments.events import log_event

Claims = Mapping[str, Any]


def account_of(claims: Claims) -> User:
    """Return the account of a person who has proved who it is, with the role of the groups."""
    user = _known(claims) or _introduced(claims)
    if not user.is_active:
        raise OidcError("inactive", user.username)
    accept_invitation(user)
    if settings.OIDC_GROUPS_CLAIM:
        follow_groups(user, highest_role(_groups(claims), settings.OIDC_ROLES))
    return User.objects.get(pk=user.pk)


def _known(claims: Claims) -> User | None:
    found = OidcIdentity.objects.select_related("user").filter(
        issuer=claims["iss"], subject=str(claims["sub"])
    )
    identity = found.first()
    return identity.user if identity else None


def _introduced(claims: Claims) -> User:
    address = _verified_address(claims)
    try:
        with transaction.atomic():
            user = _with_address(address) or _made(address)
            if not differs_in_case_alone(user.username, address):
                _end_password(user)
            return _tied(user, claims)
    except IntegrityError:  # the same person in two windows at once
        known = _known(claims)
        if known is None:
            raise OidcError("taken", address) from None
        return known


def _verified_address(claims: Claims) -> str:
    """The address, if the provider answers for it."""
    given = str(claims.get("email") or "").strip()
    # Where lower case makes another letter of a sign, it makes the address of another person.
    address = given.lower() if differs_in_case_alone(given, given.lower()) else given
    # Some write the word. A provider that says nothing counts where the operator trusts it with addresses.
    is_verified = claims.get("email_verified", settings.OIDC_TRUST_EMAIL) in (True, "true")
    if not is_verified or "@" not in address or len(address) > EMAIL_LENGTH or not address.isprintable():
        raise OidcError("no_verified_address")
    return address


def _with_address(address: str) -> User | None:
    near = User.objects.select_for_update().filter(Q(email__iexact=address) | Q(username__iexact=address))
    found = [
        user
        for user in near
        if any(differs_in_case_alone(own, address) for own in (user.email, user.username))
    ]
    if len(found) > 1:
        raise OidcError("several_accounts", address)
    return found[0] if found else None


def _made(address: str) -> User:
    user = User.objects.create(username=address)
    complete_account(user, address)
    return user


def _end_password(user: User) -> None:
    """Shut out the one who had the account, and end the sessions. A superuser's gives nobody more than they had."""
    if user.is_superuser:
        return
    user.set_unusable_password()  # another one each time, which ends the sessions of an account without a password, too
    user.save(update_fields=["password"])
    log_event("login.password_ended", user=user.username)


def _tied(user: User, claims: Claims) -> User:
    if OidcIdentity.objects.filter(user=user, issuer=claims["iss"]).exists():
        raise OidcError("taken", user.username)
    OidcIdentity.objects.create(
        user=user, issuer=claims["iss"], subject=str(claims["sub"]), made_at=timezone.now()
    )
    log_event("login.identity_tied", user=user.username)
    return user


def _groups(claims: Claims) -> list[str]:
    """The groups of the claim: a list, or words separated by commas."""
    given = claims.get(settings.OIDC_GROUPS_CLAIM) or []
    words = given.split(",") if isinstance(given, str) else given
    return [word.strip() for word in words if isinstance(word, str)] if isinstance(words, list) else []
