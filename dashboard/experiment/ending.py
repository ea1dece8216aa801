"""The end of an experiment on its pages: the choice of the variant to ship, and what can be undone."""

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _

from allocation.campaigns.schedule import (
    DECIDED_REASON,
    ENDED_REASON,
    HARM_REASON,
    INACTIVE_REASON,
    MISMATCH_REASON,
)
from allocation.campaigns.undo import undo_completion
from allocation.models import AllocationShare, AsOf, Kind, State, leading_share
from allocation.services import complete_experiment
from allocation.statistics.stored import Lift, control_beside, stored_lifts
from dashboard.experiment.actions import on_experiment
from dashboard.experiment.summary import Summary
from dashboard.formatting import format_moment
from experiments.audit import NO_LOGIN
from experiments.campaign.ending import can_undo, undo_until
from experiments.campaign.models import REASON_LENGTH
from experiments.exceptions import InvalidError, Issue
from experiments.models import Experiment, Status, Variant
from experiments.selectors import today
from experiments.text import format_chance
from experiments.variants import find_variant


class Choice(NamedTuple):
    """A variant that may get all traffic. ``lift`` and ``chance`` are None where they are not known."""

    variant: Variant
    lift: Lift | None
    chance: float | None
    is_low: bool
    is_chosen: bool

    @property
    def says(self) -> str:
        """The words of the button while this one is chosen."""
        words = _("End and keep %(name)s") if self.variant.is_control else _("End and ship %(name)s")
        return words % {"name": self.variant.name}

    @property
    def chance_in_words(self) -> str:
        return _("%(chance)s probability to be best") % {"chance": format_chance(self.chance)}


class Ending(NamedTuple):
    """Contents of the dialog that ends an experiment. ``warnings``: why no variant is chosen beforehand."""

    choices: list[Choice]
    warnings: list[str]
    as_of: AsOf | None


class Ended(NamedTuple):
    """How an experiment ended. ``until``: its end can be undone so long; ``can_undo``: and that is not over."""

    at: dt.datetime | None
    by: str
    by_itself: bool
    reason: str
    until: dt.datetime | None
    can_undo: bool


def ending_of(experiment: Experiment, summary: Summary) -> Ending | None:
    """Lay out the choice from the allocation in force; None where the experiment cannot end. No query."""
    active = [variant for variant in experiment.variants.all() if variant.is_active]
    if experiment.status not in {Status.ACTIVE, Status.PAUSED} or experiment.archived_at or not active:
        return None
    allocation = summary.allocation
    shares = list(allocation.shares.all()) if allocation else []
    warnings = _warnings(summary)
    leader = None if warnings else leading_share(shares)
    rows, lifts = {share.variant_id: share for share in shares}, _lifts(shares)
    choices = [
        _choice(variant, rows.get(variant.pk), lifts.get(variant.pk), chosen=leader) for variant in active
    ]
    choices.sort(key=lambda one: -1.0 if one.chance is None else one.chance, reverse=True)
    return Ending(choices, warnings, allocation.as_of if allocation else None)


def _choice(
    variant: Variant, share: AllocationShare | None, lift: Lift | None, *, chosen: AllocationShare | None
) -> Choice:
    is_low = share is None or share.rate is None or bool(share.missing_trials)
    chance = None if is_low or share is None else share.probability_best
    is_chosen = chosen is not None and chosen.variant_id == variant.pk
    return Choice(variant, None if is_low else lift, chance, is_low, is_chosen)


def _lifts(shares: Sequence[AllocationShare]) -> dict[int, Lift]:
    pairs = {
        share.variant_id: (share, control)
        for share in shares
        if (control := control_beside(share, shares)) is not None and control.successes
    }
    return dict(zip(pairs, stored_lifts(list(pairs.values())), strict=True))


def _warnings(summary: Summary) -> list[str]:
    """Say what speaks against an end; with nothing to say the leader is chosen beforehand."""
    allocation = summary.allocation
    if allocation is None or allocation.kind == Kind.WARM_UP:
        return [_("There is not enough data yet: no variant has shown to be better.")]
    said = []
    if summary.is_mismatched:
        said.append(_("Traffic does not match the allocation (SRM): do not trust these numbers yet."))
    if allocation.kind == Kind.GUARD:
        said.append(_("A guard has stopped the experiment: a variant is worse on a guarded metric."))
    elif allocation.harms:
        said.append(_("A guard warns: a variant is worse on a guarded metric."))
    if summary.is_alone:
        said.append(_("Only one variant is active: there is nothing to compare."))
    if not said and allocation.state != State.DECIDED:
        said.append(_("It is not ready to decide: another variant may still turn out to be better."))
    return said


def ended_of(experiment: Experiment, now: dt.datetime) -> Ended | None:
    """Say how an experiment ended; None while it has not. No query."""
    if experiment.status != Status.COMPLETED:
        return None
    return Ended(
        at=experiment.completed_at,
        by=actor_name(experiment.completed_by),
        by_itself=experiment.decision_reason in _own_reasons(),
        reason=reason_text(experiment.decision_reason),
        until=undo_until(experiment),
        can_undo=can_undo(experiment, now),
    )


def actor_name(actor: str) -> str:
    """Name who acted, an API key in the reader's language; blank for the service itself."""
    if actor == NO_LOGIN:
        return _("someone without a login")
    by_key = "API key "
    if actor.startswith(by_key):
        return _("API key %(name)s") % {"name": actor.removeprefix(by_key)}
    return actor


def reason_text(reason: str) -> str:
    """Write the service's own reasons in the reader's language; a person's stays as it is."""
    return _own_reasons().get(reason, reason)


def _own_reasons() -> dict[str, str]:
    """The reasons that the service records where it ends an experiment by itself, in the reader's language."""
    return {
        ENDED_REASON: _("Ended on schedule."),
        DECIDED_REASON: _("Ended by itself once ready to decide."),
        HARM_REASON: _("Ended on schedule. A guard warned, so the control gets all traffic."),
        INACTIVE_REASON: _(
            "Ended on schedule. The variant that was to get all traffic is inactive, so the control does."
        ),
        MISMATCH_REASON: _("Ended on schedule. Traffic did not match, so the control gets all of it."),
    }


@on_experiment()
def complete(request: HttpRequest, experiment: Experiment) -> str:
    """End with the variant that was chosen in the dialog, for the reason that was written there."""
    chosen = request.POST.get("winner", "")
    if not (chosen.isascii() and chosen.isdigit()):
        raise InvalidError([Issue("winner", "required", _("Select the variant that gets all traffic."))])
    winner = find_variant(experiment, int(chosen))
    now = timezone.now()
    complete_experiment(
        experiment_id=experiment.pk,
        target_date=today(),
        now=now,
        winner_id=winner.pk,
        decision_reason=_reason(request.POST.get("decision_reason", "")),
    )
    experiment.refresh_from_db()
    until = undo_until(experiment)
    said = _("Ended: %(winner)s gets all traffic. You can undo this until %(until)s.")
    return said % {"winner": winner.name, "until": format_moment(until) if until else "–"}


def _reason(text: str) -> str:
    """Refuse a reason that is missing or could not be stored whole."""
    reason = text.replace("\r\n", "\n").replace("\x00", "").strip()
    if not reason:
        raise InvalidError([Issue("decision_reason", "required", _("Give the reason for the end."))])
    if len(reason) > REASON_LENGTH:
        message = _("The reason has %(length)s characters; at most %(most)s are kept.")
        said = message % {"length": len(reason), "most": REASON_LENGTH}
        raise InvalidError([Issue("decision_reason", "too_long", said)])
    return reason


@on_experiment()
def undo(request: HttpRequest, experiment: Experiment) -> HttpResponse:
    """Undo the end, and stay on the tab where that was asked for."""
    undone = undo_completion(experiment_id=experiment.pk, now=timezone.now())
    said = (
        _("The end is undone. The experiment is active again and the allocation is computed from its data.")
        if undone.status == Status.ACTIVE
        else _("The end is undone. The experiment is paused again, with the allocation from before.")
    )
    messages.success(request, said)
    return redirect("dashboard:results", reference=experiment.key)
