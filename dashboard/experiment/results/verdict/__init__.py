"""The verdict: what the data says in one sentence, and the one thing to do next."""

from django.utils.translation import gettext as _

from allocation.statistics.results import Results
from dashboard.experiment.results.verdict.ended import ended
from dashboard.experiment.results.verdict.of_data import of_data
from dashboard.experiment.results.verdict.parts import Action, Verdict
from dashboard.experiment.results.verdict.words import harm_lines
from dashboard.experiment.summary import Summary
from dashboard.formatting import format_date
from experiments.models import Experiment, Status
from experiments.selectors import day_ahead, today

__all__ = ["Verdict", "verdict_of"]


def verdict_of(experiment: Experiment, summary: Summary, results: Results | None) -> Verdict:
    """Say where the experiment stands. A winner is offered only where nothing speaks against it."""
    if experiment.status == Status.DRAFT:
        return _draft(experiment)
    if experiment.status == Status.COMPLETED:
        return ended(experiment, summary, results)
    if results is None or not results.days.count:
        found = _without_data(experiment)
    elif summary.is_stopped:
        return _stopped(results)
    else:
        found = of_data(experiment, results)
    return _paused(found, summary) if experiment.status == Status.PAUSED else found


def _draft(experiment: Experiment) -> Verdict:
    enough = len(experiment.variants.all()) > 1
    action = Action(_("Start"), post="start") if enough else Action(_("Add variants"), open="settings")
    return Verdict(
        "info",
        _("Draft: not started."),
        [_("Add variants, check the settings, then start.")],
        None if experiment.archived_at else action,
    )


def _without_data(experiment: Experiment) -> Verdict:
    if day := day_ahead(experiment, today()):
        title = _("Data counts from tomorrow on: the first day is %(date)s.") % {"date": format_date(day)}
        return Verdict("info", title, [_("Traffic is split evenly until then.")])
    return Verdict(
        "info",
        _("No data yet. Traffic is split evenly until the first results arrive."),
        [_("Add a day, upload a CSV or send events through the API.")],
        Action(_("Add your first data"), open="data") if experiment.takes_events else None,
    )


def _stopped(results: Results) -> Verdict:
    title = _("Stopped by a guard: the control gets all traffic until someone resumes.")
    lines = [*harm_lines(results), _("Find out why; then resume, and guards count from that day on.")]
    return Verdict("danger", title, lines, Action(_("Resume after the guard"), post="resume-after-guard"))


def _paused(found: Verdict, summary: Summary) -> Verdict:
    lines = [found.title, *found.lines, _("Resume to keep optimizing, or end the experiment.")]
    title = (
        _("Paused. Traffic stays at the last allocation.")
        if summary.allocation
        else _("Paused. Traffic stays split evenly.")
    )
    return Verdict(
        found.tone if found.tone == "danger" else "warning", title, lines, Action(_("Resume"), post="resume")
    )
