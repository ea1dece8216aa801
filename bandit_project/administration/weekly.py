"""The weekly summary by email: on Monday morning in each person's time zone, once for a user and week.

That it is going out is written before it is sent: a crash between the two loses a mail, and never sends one twice. A
mail server that refuses takes the note back, and the next round tries again, until Tuesday ends. A fault in writing the
mail comes before the note.
"""

import datetime as dt
import logging
import smtplib
import time
from collections.abc import Iterator
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth.models import User
from django.core.mail import EmailMultiAlternatives
from django.db import IntegrityError, transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _

from allocation.exceptions import NoActiveVariantError
from allocation.explanations import no_lift
from allocation.models import State
from allocation.statistics.experiment import Statistics, VariantStatistics, experiment_statistics
from bandit_project.administration.invitations import has_mail_server
from bandit_project.administration.profile import preferences_of
from bandit_project.models import SentSummary
from experiments.address import public_address
from experiments.database.locks import only_one
from experiments.events import log_event, log_problem_event
from experiments.exceptions import InvalidError
from experiments.models import Experiment
from experiments.text import format_number, format_percent
from notifications.channels.mails import Mail
from notifications.models import Alarm
from notifications.selectors import active_experiments

logger = logging.getLogger(__name__)

_FROM, _MONDAY, _TUESDAY = dt.time(8), 0, 1
# A mail is to be read: the experiments that changed last.
_MOST_RESULTS = 30
# What is left goes with the next round.
_SECONDS_FOR_ALL = 60

Numbers = tuple[Experiment, Statistics | None]


def send_weekly_summaries(now: dt.datetime) -> int:
    """Send what is due; return how many mails went out. Nothing is sent while another process is at it."""
    if not has_mail_server():
        return 0
    with only_one("weekly summaries") as free:
        return _send_some(now) if free else 0


def _send_some(now: dt.datetime) -> int:
    """Send for some time: a mail server that hangs must not hold up the scheduler's other jobs."""
    sent, until = 0, time.monotonic() + _SECONDS_FOR_ALL
    for user, week in _due(now):
        sent += _send_alone(user, week, now)
        if time.monotonic() >= until:
            break
    return sent


def _send_alone(user: User, week: dt.date, now: dt.datetime) -> bool:
    """Send to one; a fault with one reader's mail keeps it from no other."""
    try:
        return _send_once(user, week, now)
    except Exception:
        logger.exception("the weekly summary of user %s failed", user.pk)
        return False


def week_due(zone: str, now: dt.datetime) -> dt.date | None:
    """The Monday of the week whose summary is due in this time zone, or None at another time."""
    local = now.astimezone(ZoneInfo(zone or settings.TIME_ZONE))
    monday = local.date() - dt.timedelta(days=local.weekday())
    is_due = local.weekday() == _TUESDAY or (local.weekday() == _MONDAY and local.time() >= _FROM)
    return monday if is_due else None


def _due(now: dt.datetime) -> Iterator[tuple[User, dt.date]]:
    wanting = User.objects.filter(is_active=True, preferences__weekly_summary=True).exclude(email="")
    recent = SentSummary.objects.filter(week__gt=now.date() - dt.timedelta(days=9))
    sent = set(recent.values_list("user_id", "week"))
    for user in wanting.select_related("preferences").order_by("pk"):
        week = week_due(preferences_of(user).time_zone, now)
        if week is not None and (user.pk, week) not in sent:
            yield user, week


def _send_once(user: User, week: dt.date, now: dt.datetime) -> bool:
    """Claim the week, then send; False where another process has claimed it, or the mail server refuses."""
    with override(preferences_of(user).language or settings.LANGUAGE_CODE):
        subject, text, html = _mail(user, week, now)
        mail = EmailMultiAlternatives(subject, text, None, [user.email])
        mail.attach_alternative(html, "text/html")
        mail.message()  # refuses an address that is none
    try:
        with transaction.atomic():
            claim = SentSummary.objects.create(user=user, week=week, claimed_at=now)
    except IntegrityError:
        return False
    try:
        mail.send()
    except (OSError, smtplib.SMTPException) as error:
        claim.delete()
        log_problem_event("summary.not_sent", user=user.pk, problem=type(error).__name__)
        return False
    log_event("summary.sent", user=user.pk, week=week.isoformat())
    return True


def _mail(user: User, week: dt.date, now: dt.datetime) -> Mail:
    """Write the mail in the current language."""
    subject = _("Weekly summary, %(date)s") % {"date": date_format(week, _("j M Y"))}
    numbers = list(_numbers(timezone.localdate(now)))
    context = {
        "name": user.get_full_name() or user.get_username(),
        "attention": [*_alarms(), *_to_decide(numbers)],
        "results": [_result(experiment, statistics) for experiment, statistics in numbers],
        "left_out": max(0, active_experiments().count() - len(numbers)),
        "link": public_address("/dashboard/"),
        "zone": settings.TIME_ZONE,
        "subject": subject,
        "language": get_language(),
    }
    text, html = (render_to_string(f"mail/weekly.{kind}", context) for kind in ("txt", "html"))
    return Mail(f"[bandit] {subject}", text, html)


def _numbers(date: dt.date) -> Iterator[Numbers]:
    for experiment in active_experiments().order_by("-updated_at", "-pk")[:_MOST_RESULTS]:
        try:
            yield experiment, experiment_statistics(experiment.pk, date)
        except (NoActiveVariantError, InvalidError):
            yield experiment, None


def _alarms() -> Iterator[str]:
    """Say what is wrong: the alarms that are open."""
    active = active_experiments()
    for alarm in Alarm.objects.filter(cleared_at=None, experiment__in=active).select_related("experiment"):
        since = date_format(timezone.localdate(alarm.raised_at), _("j M Y"))
        facts = {"name": alarm.experiment.name, "what": alarm.get_kind_display(), "date": since}
        yield _("%(name)s: %(what)s, since %(date)s") % facts


def _to_decide(numbers: list[Numbers]) -> Iterator[str]:
    """Say what waits for a person."""
    for experiment, statistics in numbers:
        if statistics and statistics.state == State.DECIDED and not _is_alone(statistics):
            yield f"{experiment.name}: {State.DECIDED.label}"


class Result(NamedTuple):
    """An experiment in the mail: its name, its page where that is known, and what is to be said, in lines."""

    name: str
    link: str
    lines: list[str]


def _result(experiment: Experiment, statistics: Statistics | None) -> Result:
    link = public_address(reverse("dashboard:results", args=[experiment.key]))
    return Result(experiment.name, link, _result_lines(experiment, statistics))


def _result_lines(experiment: Experiment, statistics: Statistics | None) -> list[str]:
    """Write who leads, the lift with its interval, the extra successes with theirs; a line for each."""
    leader = _judged_leader(statistics)
    if statistics is None or leader is None:
        return [_("Not enough data yet")]
    if _is_alone(statistics):
        return [_("One variant only")]
    parts = [
        _("%(variant)s leads (probability to be best %(chance)s)")
        % {"variant": leader.variant_name, "chance": _chance(leader.probability_best)}
    ]
    lift, low, high = leader.uplift, leader.uplift_low, leader.uplift_high
    if statistics.has_lifts and lift is not None and low is not None and high is not None:
        interval = {"lift": _signed(lift), "low": _signed(low), "high": _signed(high)}
        parts.append(_("Lift vs control: %(lift)s (95%% interval %(low)s to %(high)s)") % interval)
    elif statistics.is_control_bare:
        parts.append(no_lift(experiment.goal.successes_count.unit))
    parts.append(_gain(experiment, statistics))
    return [str(State(statistics.state).label), *parts]


def _is_alone(statistics: Statistics) -> bool:
    """True with a single active variant: it is the best for certain, by no comparison."""
    return sum(variant.is_active for variant in statistics.variants) < 2


def _judged_leader(statistics: Statistics | None) -> VariantStatistics | None:
    found = statistics.variants if statistics else []
    return next(
        (v for v in found if statistics and v.variant_key == statistics.leader and v.enough_data), None
    )


def _gain(experiment: Experiment, statistics: Statistics) -> str:
    rewards, goal = statistics.rewards, experiment.goal
    unit = experiment.currency if goal.is_value and experiment.currency else goal.successes_count.unit
    facts = {
        "gain": _counted(rewards.gained_over_even), "low": _counted(rewards.gained_low),
        "high": _counted(rewards.gained_high), "unit": unit,
    }  # fmt: skip
    return _("Extra %(unit)s vs even split: %(gain)s (%(low)s to %(high)s)") % facts


def _chance(probability: float) -> str:
    """Write a probability, never as certain."""
    return f"> {format_percent(0.999)}" if probability > 0.999 else format_percent(probability)


def _signed(fraction: float) -> str:
    return f"{'+' if fraction > 0 else ''}{format_percent(fraction)}"


def _counted(number: float) -> str:
    text = format_number(number, 0)
    return "0" if text == "-0" else f"{'+' if number >= 0.5 else ''}{text}"
