"""The data tab: daily rows to read, to edit and to download."""

import datetime as dt

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from dashboard.access import View, requires
from dashboard.experiment.actions import OFFER_RECOMPUTE, closed_reason
from dashboard.experiment.data.calendar import calendar_of
from dashboard.experiment.data.daily_forms import DayForm, version_token
from dashboard.experiment.data.daily_table import (
    History,
    days_of,
    days_page,
    history_of,
    next_day,
    rate_of,
    totals_of,
)
from dashboard.experiment.data.facts import facts_of
from dashboard.experiment.data.filters import DataFilter, filter_of
from dashboard.experiment.summary import experiment_or_404
from dashboard.experiment.tabs import tab_context
from dashboard.formatting import format_date
from dashboard.templatetags.formats import measured
from experiments.exceptions import ChangedMeanwhileError, InvalidError
from experiments.ingestion.diff import RowChange
from experiments.ingestion.manual_edits import set_day
from experiments.metrics import COUNTS, MEASURES, Measure
from experiments.models import DailyMetric, Experiment, Status
from experiments.roles import Role
from experiments.selectors import today
from experiments.tables.export import metrics_download, template_download
from experiments.tables.mapping import remembered_columns
from experiments.text import parse_date


@require_safe
@requires(Role.VIEWER)
def data(request: HttpRequest, reference: str) -> HttpResponse:
    return _page(request, experiment_or_404(reference, today()))


def _page(
    request: HttpRequest,
    experiment: Experiment,
    form: DayForm | None = None,
    history: History | None = None,
    taken: dt.date | None = None,
) -> HttpResponse:
    """Render the table, with a form in the place of its day, or above the table for a new one.

    ``history``: where it was read already, unfiltered. ``taken``: the day that a new one was refused for, as it has
    data already.
    """
    date, chosen = today(), DataFilter() if form else filter_of(request, experiment)
    history = history or history_of(experiment, chosen)
    variants = 1 if chosen.variant else len(experiment.variants.all())
    page = days_page(history, request.GET.get("page"), _day_asked_for(request), variants=variants)
    dates = list(page)
    measures = form.measures if form else _measures(experiment, history)
    totals = history.totals
    context = tab_context(experiment, "data", date) | {
        "page": page,
        "days": days_of(experiment, dates, measures, chosen.variant),
        "measures": measures,
        "today": date,
        "form": form,
        "is_above": form is not None and form.day not in dates,
        "taken": taken,
        "closed": _why_no_data(experiment),
        "filter": chosen,
        "has_data": bool(history.days),
        "totals": [(measure, getattr(totals, measure.name)) for measure in measures],
        "totals_rate": rate_of(totals, experiment.goal),
        "facts": None if form else facts_of(experiment, history, measures, date),
        "remembered": 0 if form else len(remembered_columns(experiment)),
        "calendar": None if form else calendar_of(experiment, history.span, date, _weeks_back(request)),
    }
    return render(request, "dashboard/experiment/data.html", context)


def _measures(experiment: Experiment, history: History) -> tuple[Measure, ...]:
    """Name what is observed: the counts, and values where the goal is one or a day has any."""
    return MEASURES if experiment.goal.is_value or history.has_values else COUNTS


def _day_asked_for(request: HttpRequest) -> dt.date | None:
    return parse_date(request.GET.get("day", ""))


def _weeks_back(request: HttpRequest) -> int:
    number = request.GET.get("calendar", "")
    return int(number) if number.isascii() and number.isdigit() and len(number) < 4 else 0


def _why_no_data(experiment: Experiment) -> str:
    if experiment.status == Status.DRAFT and experiment.is_open:
        return _("This experiment is a draft. It takes data once it is started.")
    return closed_reason(experiment)


def edits(view: View) -> View:
    """Open a view to analysts on an experiment that takes data; where it takes none, the table says why."""

    @require_http_methods(["GET", "HEAD", "POST"])
    @requires(Role.ANALYST, one_moment_to_look=False)  # the preview imports the file and takes it back
    def open_only(request: HttpRequest, reference: str, **place: str) -> HttpResponseBase:
        experiment = experiment_or_404(reference, today())
        if experiment.takes_events:
            return view(request, experiment, **place)
        messages.error(request, _why_no_data(experiment))
        return redirect("dashboard:data", reference=experiment.key)

    return open_only


@edits
def day(request: HttpRequest, experiment: Experiment) -> HttpResponse:
    """Edit one day of all variants: the ``date`` of the query, or a new one."""
    date = _date(request.GET.get("date", ""))
    history = history_of(experiment)
    form = _day_form(request, experiment, date, history)
    if not (form.is_bound and form.is_valid()):
        return _page(request, experiment, form, history)
    try:
        effects = set_day(
            experiment_id=experiment.pk,
            rows=form.counts(),
            today=today(),
            now=timezone.now(),
            is_new=date is None,
            shown=form.shown() if date else None,
        )
    except InvalidError as error:
        is_taken = any(issue.code == "taken" for issue in error.issues)
        taken = form.cleaned_data["date"] if is_taken else None
        form.add_errors(error)
        return _page(request, experiment, form, history, taken)
    except ChangedMeanwhileError as error:
        form.accept_current(version_token(totals_of(experiment, form.cleaned_data["date"])))
        form.add_error(None, str(error))
        return _page(request, experiment, form, history)
    has_changed = any(effect.kind != "same" for effect in effects)
    messages.success(request, _flash_text(effects), extra_tags=OFFER_RECOMPUTE if has_changed else "")
    return redirect(_back(request, experiment))


def _date(text: str) -> dt.date | None:
    date = parse_date(text)
    if text and date is None:
        raise Http404(f"{text[:40]!r} is not a date")
    return date


def _day_form(
    request: HttpRequest, experiment: Experiment, date: dt.date | None, history: History
) -> DayForm:
    """Active variants, and those that have data of the day."""
    stored = totals_of(experiment, date) if date else {}
    variants = [v for v in experiment.variants.all() if v.is_active or v.pk in stored]
    suggested = next_day(experiment, today())
    return DayForm(
        request.POST if request.method == "POST" else None,
        variants=variants,
        stored=stored,
        measures=_measures(experiment, history),
        needs_value=experiment.goal.is_value,
        date=date,
        suggested=suggested,
    )


def _flash_text(effects: list[RowChange]) -> str:
    """Say in a sentence what was saved."""
    changed = [_change(effect) for effect in effects if effect.kind != "same"]
    on = format_date(effects[0].row.date)
    if not changed:
        return _("Nothing on %(date)s has changed.") % {"date": on}
    return _("Saved %(date)s: %(changes)s.") % {"date": on, "changes": "; ".join(changed)}


def _change(effect: RowChange) -> str:
    name = effect.row.variant_name
    if effect.before is None:
        return _("%(variant)s added") % {"variant": name}
    parts = [
        f"{measure.unit} {measured(before, measure)} → {measured(after, measure)}"
        for measure, before, after in zip(MEASURES, effect.before, effect.after, strict=True)
        if before != after
    ]
    return f"{name} {', '.join(parts)}"


def _back(request: HttpRequest, experiment: Experiment) -> str:
    number = request.GET.get("page", "")
    query = f"?page={number}" if number.isascii() and number.isdigit() else ""
    return reverse("dashboard:data", args=[experiment.key]) + query


@require_safe
@requires(Role.VIEWER, may_lag=True)
def download(request: HttpRequest, reference: str) -> HttpResponseBase:
    experiment = experiment_or_404(reference, today())
    rows = DailyMetric.objects.filter(variant__experiment=experiment)
    return metrics_download(experiment, rows.order_by("date", "variant_id"))


@require_safe
@requires(Role.VIEWER)
def template(request: HttpRequest, reference: str) -> HttpResponseBase:
    return template_download(experiment_or_404(reference, today()), today())
