"""Tabs of one experiment: the pages they lead to, and the head that all have in common."""

import datetime as dt
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from allocation.models import Allocation
from dashboard.access import View, requires
from dashboard.experiment.ending import ended_of, ending_of
from dashboard.experiment.summary import Summary, experiment_or_404, summarise_head
from experiments.campaign.models import REASON_LENGTH
from experiments.models import Experiment, Status
from experiments.roles import Role
from experiments.selectors import today

_TABS = (
    ("results", _("Results")),
    ("explore", _("Explore")),
    ("traffic", _("Traffic")),
    ("data", _("Data")),
    ("settings", _("Settings")),
    ("history", _("History")),
)
# Pages of an experiment that are no tabs: links beside them.
_BESIDE = (
    ("integrate", _("Integrate")),
    ("report", _("Report")),
)


# What a tab shows below the head that all have in common.
Build = Callable[[Experiment, dt.date, Summary], dict[str, Any]]


def tab(build: Build) -> View:
    """Make a page of its own from what one tab shows, in the template of its name."""

    @require_safe
    @requires(Role.VIEWER)
    @wraps(build)
    def view(request: HttpRequest, reference: str) -> HttpResponse:
        date = today()
        experiment = experiment_or_404(reference, date)
        context = tab_context(experiment, build.__name__, date)
        context |= build(experiment, date, context["summary"])
        return render(request, f"dashboard/experiment/{build.__name__}.html", context)

    return view


def tab_context(
    experiment: Experiment, current: str, date: dt.date, allocation: Allocation | None = None
) -> dict[str, Any]:
    """Collect what the head of every tab shows. ``allocation``: the one in force, where it was read already."""
    active = [variant for variant in experiment.variants.all() if variant.is_active]
    summary = summarise_head(experiment, date, allocation)
    return {
        "section": "experiments",
        "experiment": experiment,
        "summary": summary,
        "tab": current,
        "tab_title": dict((*_TABS, *_BESIDE))[current],
        "tabs": [(name, label, name == current) for name, label in _TABS],
        "beside": [(name, label, name == current) for name, label in _BESIDE],
        "can_start": experiment.status == Status.DRAFT and not experiment.archived_at,
        "can_pause": experiment.status == Status.ACTIVE,
        "can_resume": experiment.status == Status.PAUSED and not experiment.archived_at,
        "ending": ending_of(experiment, summary),
        "ended": ended_of(experiment, timezone.now()),
        "can_resume_after_guard": summary.is_stopped,
        "active_variants": active,
        "reason_length": REASON_LENGTH,
    }
