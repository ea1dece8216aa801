"""The events that endpoints can be notified of, in one table.

A new kind is a member of EventKind, its row in EVENT_TYPES, the migration of its choices, and the rule that says when
it happens (allocation/alerts.py for decisions, guard_alerts.py for guards, sweep.py for once a day,
campaigns.py for starts and ends).
"""

from dataclasses import dataclass

from django.db import models
from django.utils.translation import gettext_lazy as _

from experiments.text import Text


class EventKind(models.TextChoices):
    ALLOCATION_CHANGED = "allocation.changed", _("Allocation changed")
    LEADER_FOUND = "leader.found", _("Leader (95%)")
    EXPERIMENT_DECIDED = "experiment.decided", _("Ready to decide")
    SAMPLE_RATIO_MISMATCH = "sample_ratio.mismatch", _("Traffic does not match the allocation (SRM)")
    NO_DATA = "data.missing", _("Data is late")
    RATES_CHANGED = "rates.changed", _("The variants' rates have changed")
    GUARD_WARNED = "guard.warned", _("A guard warns")
    GUARD_ACTED = "guard.acted", _("A guard gave the control all traffic")
    EXPERIMENT_STARTED = "experiment.started", _("Started on schedule")
    EXPERIMENT_ENDED = "experiment.ended", _("Ended on schedule")
    EXPERIMENT_COMPLETED = "experiment.completed", _("Ended once ready to decide")
    TEST = "test", _("Test")


@dataclass(frozen=True)
class EventType:
    """A kind of event. ``sentence``: the first line of a mail, filled in from the event's data.

    ``is_alarm``: a condition that holds for a while; it is notified once, when it begins. ``elsewhere``: the sentence
    in languages other than English, where the first one quotes what the decision log says in English.
    """

    sentence: Text
    is_alarm: bool = False
    elsewhere: Text = ""


EVENT_TYPES = {
    EventKind.ALLOCATION_CHANGED: EventType(
        _("Traffic is split differently from {target_date}: {reason}"),
        elsewhere=_("Traffic is split differently from {target_date}."),
    ),
    EventKind.LEADER_FOUND: EventType(
        _("{leader} leads: its probability to be best is {probability_best}."), is_alarm=True
    ),
    EventKind.EXPERIMENT_DECIDED: EventType(
        # allocation/engine/state.py has the bound
        _("{leader} can be chosen: with 95% probability no other variant is more than 1% better."),
        is_alarm=True,
    ),
    EventKind.SAMPLE_RATIO_MISMATCH: EventType(
        _(
            "Traffic does not match the allocation (p = {p_value}). "
            "Look at how units are assigned and counted before trusting the results."
        ),
        is_alarm=True,
    ),
    EventKind.NO_DATA: EventType(_("No data has arrived for {days} days."), is_alarm=True),
    EventKind.RATES_CHANGED: EventType(
        _(
            "The variants compare differently since {since}. Days from before the change count less from now on."
        ),
        is_alarm=True,
    ),
    EventKind.GUARD_WARNED: EventType(
        _("{variant} is more than {max_fall}% below the control in {ratio}: a guard warns."), is_alarm=True
    ),
    EventKind.GUARD_ACTED: EventType(
        "{reason}",
        is_alarm=True,
        elsewhere=_("A guard gave the control all traffic, until a person resumes."),
    ),
    EventKind.EXPERIMENT_STARTED: EventType(_("The experiment has started, as scheduled for {starts_at}.")),
    EventKind.EXPERIMENT_ENDED: EventType(
        _("The experiment has ended, as scheduled for {ends_at}: {outcome}"),
        elsewhere=_("The experiment has ended, as scheduled for {ends_at}."),
    ),
    EventKind.EXPERIMENT_COMPLETED: EventType(_("Ready to decide, and ended: {winner} gets all traffic.")),
    EventKind.TEST: EventType(_("A test: this channel receives notifications.")),
}
ALARM_KINDS = [kind for kind, event_type in EVENT_TYPES.items() if event_type.is_alarm]
# Those that an endpoint can choose; a test is sent to the endpoint that asks for it.
CHOSEN_KINDS = [kind for kind in EVENT_TYPES if kind is not EventKind.TEST]
