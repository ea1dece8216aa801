"""Settings that people make for themselves: language, theme, time zone, the weekly summary."""

from functools import cache
from typing import NamedTuple
from zoneinfo import available_timezones

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from bandit_project.administration.users import name_issues
from bandit_project.models import Theme, UserSettings
from experiments.exceptions import InvalidError, Issue

__all__ = ["Preferences", "Theme", "change_profile", "preferences_of", "time_zones"]


class Preferences(NamedTuple):
    """A person's settings; blank for the browser's language and the installation's time zone."""

    language: str = ""
    theme: str = Theme.SYSTEM
    time_zone: str = ""
    weekly_summary: bool = False


@cache
def _zones() -> frozenset[str]:
    """Name all time zones; Python opens their six hundred files, in 10 ms, and every page asks for its reader's."""
    return frozenset(available_timezones())


def time_zones() -> list[str]:
    """List the names that people know, such as America/Sao_Paulo, and UTC."""
    known = (name for name in _zones() if "/" in name and not name.startswith("Etc/"))
    return [*sorted(known), "UTC"]


def preferences_of(user: User) -> Preferences:
    """Read the settings; what is no longer offered counts as blank."""
    row: UserSettings | None = getattr(user, "preferences", None)
    if row is None:
        return Preferences()
    language = row.language if row.language in dict(settings.LANGUAGES) else ""
    zone = row.time_zone if row.time_zone in _zones() else ""
    return Preferences(language, row.theme, zone, row.weekly_summary)


@transaction.atomic
def change_profile(*, user: User, name: str, email: str, preferences: Preferences) -> None:
    """Save the settings with the name and the address, which mails go to."""
    issues = [*name_issues(name), *_issues(preferences)]
    if preferences.weekly_summary and not email:
        issues.append(Issue("email", "required", _("The weekly summary needs an email address.")))
    if email and _is_anothers(email, user):
        issues.append(Issue("email", "taken", _("There is an account with this address already.")))
    if issues:
        raise InvalidError(issues)
    User.objects.filter(pk=user.pk).update(first_name=name, last_name="", email=email)
    UserSettings.objects.update_or_create(user=user, defaults=preferences._asdict())


def _is_anothers(email: str, user: User) -> bool:
    """Tell if an account has the address, or is named by it: a log-in could not tell the two apart."""
    named = User.objects.filter(Q(email__iexact=email) | Q(username__iexact=email))
    return named.exclude(pk=user.pk).exists()


def _issues(preferences: Preferences) -> list[Issue]:
    found = []
    if preferences.language and preferences.language not in dict(settings.LANGUAGES):
        found.append(Issue("language", "unknown", _("Choose one of the languages.")))
    if preferences.theme not in Theme.values:
        found.append(Issue("theme", "unknown", _("Choose one of the themes.")))
    if preferences.time_zone and preferences.time_zone not in _zones():
        found.append(Issue("time_zone", "unknown", _("Choose one of the time zones.")))
    return found


def change_language(*, user: User, language: str) -> None:
    """Keep a language that was chosen by the switch; one that is not offered changes nothing."""
    if language in dict(settings.LANGUAGES):
        UserSettings.objects.update_or_create(user=user, defaults={"language": language})
