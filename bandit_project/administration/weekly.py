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

from allocation.campaigns.guards import is_stopped
from allocation.exceptions import NoActiveVariantError
from allocation.explanations import apart_in, is_level, no_lift
from allocation.models import State
from allocation.other_metrics import WorseRate, worse_rates
from allocation.services import find_for_allocation
from allocation.statistics.experiment import Analysis, Statistics, VariantStatistics, analyse
from bandit_project.administration.invitations import has_mail_server
from bandit_project.administration.profile import preferences_of
from bandit_project.models import SentSummary
from experiments.database.locks import only_one
from experiments.events import log_event, log_problem_event
from experiments.exceptions import InvalidError
from experiments.models import Experiment
from experiments.text import format_number, format_percent
from notifications.address import public_address
from notifications.channels.mails import Mail
from notifications.models import Alarm
from notifications.selectors import active_experiments

logger = logging.getLogger(__name__)

_FROM, _MONDAY, _TUESDAY = dt.time(8), 0, 1
# A mail is to be read: the experiments that changed last.
_MOST_RESULTS = 30
# What is left goes with the next round.
_SECONDS_FOR_ALL = 60


class Numbers(NamedTuple):
    """An experiment with its statistics, None where there are none.

    ``is_doubtful``: its sentence is a doubt, or a guard has stopped it, so that nothing is said of a leader.
    """

    experiment: Experiment
    statistics: Statistics | None = None
    is_doubtful: bool = False
    is_stopped: bool = False


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
        "results": [_result(one) for one in numbers],
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
            analysis = analyse(find_for_allocation(experiment.pk, date), date)
            # the decision in force may have stopped it for a harm that is seen no more
            stopped = analysis.inputs.guarding is not None and is_stopped(experiment, date)
        except (NoActiveVariantError, InvalidError):
            yield Numbers(experiment)
        else:
            yield Numbers(experiment, analysis.statistics, _is_doubtful(analysis), stopped)


def _is_doubtful(analysis: Analysis) -> bool:
    """True where traffic does not match, a guard warns, or nothing can be compared within days."""
    inputs, decision, ratio = analysis.inputs, analysis.decision, analysis.statistics.sample_ratio
    apart, active = len(apart_in(decision, inputs)), int(decision.active.sum())
    is_mismatched = inputs.mismatch or (ratio is not None and ratio.mismatch)
    return is_mismatched or bool(inputs.harms(decision.window.end)) or 0 < active - 1 <= apart


def _alarms() -> Iterator[str]:
    """Say what is wrong: the alarms that are open."""
    active = active_experiments()
    for alarm in Alarm.objects.filter(cleared_at=None, experiment__in=active).select_related("experiment"):
        since = date_format(timezone.localdate(alarm.raised_at), _("j M Y"))
        facts = {"name": alarm.experiment.name, "what": alarm.get_kind_display(), "date": since}
        yield _("%(name)s: %(what)s, since %(date)s") % facts


def _to_decide(numbers: list[Numbers]) -> Iterator[str]:
    """Say what waits for a person, and what is to be weighed before."""
    for one in numbers:
        found = one.statistics
        if found and found.state == State.DECIDED and not (_is_alone(found) or one.is_stopped):
            yield " ".join([f"{one.experiment.name}: {State.DECIDED.label}.", *_worse_lines(found)])


class Result(NamedTuple):
    """An experiment in the mail: its name, its page where that is known, and what is to be said, in lines."""

    name: str
    link: str
    lines: list[str]


def _result(one: Numbers) -> Result:
    link = public_address(reverse("dashboard:results", args=[one.experiment.key]))
    return Result(one.experiment.name, link, _result_lines(one))


def _result_lines(one: Numbers) -> list[str]:
    """Say where it stands in the words of its page; a lift and a gain only where nothing speaks against them."""
    statistics = one.statistics
    if one.is_stopped:
        return [_("A guard gave the control all traffic, until a person resumes.")]
    if statistics is not None and one.is_doubtful and not _is_alone(statistics):
        return [statistics.sentence]
    if statistics is None or _judged_leader(statistics) is None:
        return [_("Not enough data yet")]
    if _is_alone(statistics):
        return [_("One variant only")]
    return [
        str(State(statistics.state).label),
        statistics.sentence,
        *_worse_lines(statistics),
        *_lift_lines(one.experiment, statistics),
        _gain(one.experiment, statistics),
    ]


def _lift_lines(experiment: Experiment, statistics: Statistics) -> list[str]:
    """Write the leader's lift with its interval; nothing while it is level with others, or nobody has a success."""
    leader = _judged_leader(statistics)
    has_successes = any(variant.successes for variant in statistics.variants)
    if leader is None or not has_successes or _is_tie(statistics):
        return []
    if statistics.is_control_bare:
        return [no_lift(experiment.goal.successes_count.unit)]
    lift, low, high = leader.uplift, leader.uplift_low, leader.uplift_high
    if not statistics.has_lifts or lift is None or low is None or high is None:
        return []
    interval = {"lift": _signed(lift), "low": _signed(low), "high": _signed(high)}
    return [_("Lift vs control: %(lift)s (95%% interval %(low)s to %(high)s)") % interval]


def _worse_lines(statistics: Statistics) -> list[str]:
    """Say on which other metrics those ahead are below the control."""
    found = [(one, list(worse_rates(statistics.secondary, one.variant_key))) for one in _ahead(statistics)]
    return [_worse_line(one.variant_name, worse) for one, worse in found if worse]


def _worse_line(name: str, worse: list[WorseRate]) -> str:
    clear = [one for one in worse if one.is_clear]
    values = {"variant": name, "metrics": ", ".join(str(one.metric.label) for one in clear or worse)}
    if clear:
        return _("%(variant)s is clearly worse than the control on: %(metrics)s.") % values
    return _("%(variant)s is likely worse than the control on: %(metrics)s.") % values


def _ahead(statistics: Statistics) -> list[VariantStatistics]:
    """Find the leader, and those whose chance to be the best is written as its."""
    leader = _judged_leader(statistics)
    if leader is None:
        return []
    top = round(leader.probability_best, 3)
    judged = (one for one in statistics.variants if one.is_active and one.enough_data)
    return [one for one in judged if round(one.probability_best, 3) == top]


def _is_tie(statistics: Statistics) -> bool:
    """True where the chances to be best do not tell the leader from another variant, or from all."""
    ahead = _ahead(statistics)
    active = [one for one in statistics.variants if one.is_active]
    low = sum(not one.enough_data for one in active)
    return len(ahead) > 1 or (bool(ahead) and is_level(ahead[0].probability_best, len(active), low))


def _is_alone(statistics: Statistics) -> bool:
    """True with a single active variant: it is the best for certain, by no comparison."""
    return sum(variant.is_active for variant in statistics.variants) < 2


def _judged_leader(statistics: Statistics) -> VariantStatistics | None:
    judged = (one for one in statistics.variants if one.enough_data)
    return next((one for one in judged if one.variant_key == statistics.leader), None)


def _gain(experiment: Experiment, statistics: Statistics) -> str:
    rewards, goal = statistics.rewards, experiment.goal
    unit = experiment.currency if goal.is_value and experiment.currency else goal.successes_count.unit
    facts = {
        "gain": _counted(rewards.gained_over_even), "low": _counted(rewards.gained_low),
        "high": _counted(rewards.gained_high), "unit": unit,
    }  # fmt: skip
    return _("Extra %(unit)s vs even split: %(gain)s (%(low)s to %(high)s)") % facts


def _signed(fraction: float) -> str:
    return f"{'+' if fraction > 0 else ''}{format_percent(fraction)}"


def _counted(number: float) -> str:
    text = format_number(number, 0)
    return "0" if text == "-0" else f"{'+' if number >= 0.5 else ''}{text}"
