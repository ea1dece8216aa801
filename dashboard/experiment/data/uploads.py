"""A file of daily totals: taken in, its columns named if need be, previewed, recorded."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dashboard.experiment.actions import OFFER_RECOMPUTE, error_text
from dashboard.experiment.data.upload_forms import ChoicesForm, ColumnsForm, UploadForm
from dashboard.experiment.data.views import edits
from dashboard.experiment.tabs import tab_context
from experiments.exceptions import DomainError, InvalidError, NotFoundError
from experiments.models import CsvUpload, Experiment
from experiments.selectors import today
from experiments.tables.importing.rows import DAILY, as_cell
from experiments.tables.preview import CsvPreview
from experiments.tables.reading.header import HeaderNotFoundError
from experiments.tables.uploads import (
    find_upload,
    first_lines,
    keep_upload,
    name_columns,
    preview_upload,
    record_upload,
    refused_lines,
    sheets_of,
    upload_bounds,
)
from experiments.text import format_number


@edits
def upload(request: HttpRequest, experiment: Experiment) -> HttpResponse:
    """Takes the file in and leads to its preview."""
    form = UploadForm(*((request.POST, request.FILES) if request.method == "POST" else ()))
    if form.is_bound and form.is_valid():
        file = form.cleaned_data["file"]
        try:
            kept = keep_upload(
                experiment=experiment,
                owner=_owner(request),
                name=file.name,
                content=file.read(),
                now=timezone.now(),
                bounds=upload_bounds("page"),
            )
        except InvalidError as error:
            form.add_error("file", error_text(error))
        else:
            return redirect("dashboard:preview", experiment.key, kept.token)
    context = tab_context(experiment, "data", today()) | {
        "form": form,
        "example": _example(experiment),
        "needed": [name for name in experiment.goal.columns if name not in DAILY.needed],
        "most_rows": upload_bounds("page").rows,
    }
    return render(request, "dashboard/experiment/upload.html", context)


def _example(experiment: Experiment) -> list[tuple[str, int, int]]:
    """Name the experiment's own variants in the lines that show what a file looks like."""
    names = [variant.name for variant in experiment.variants.all() if variant.is_active][:2]
    numbers = [(700, 630), (950, 855)]
    return [(as_cell(name), *n) for name, n in zip(names or ["control", "variant_b"], numbers, strict=False)]


def _owner(request: HttpRequest) -> str:
    return f"user {request.user.pk}" if request.user.is_authenticated else "visitor"


@edits
def preview(request: HttpRequest, experiment: Experiment, token: str) -> HttpResponse:
    """Show what the file would change, after its columns if they are not known; a POST records it."""
    try:
        kept = _kept(request, experiment, token)
        if request.method == "POST":
            return _record(request, experiment, kept)
        return _preview_page(request, experiment, kept)
    except HeaderNotFoundError:
        return redirect(_address("dashboard:columns", experiment, token, request.GET))
    except (NotFoundError, InvalidError) as error:
        return _try_again(request, experiment, error)


def _kept(request: HttpRequest, experiment: Experiment, token: str) -> CsvUpload:
    return find_upload(experiment=experiment, owner=_owner(request), token=token, now=timezone.now())


def _try_again(request: HttpRequest, experiment: Experiment, error: DomainError) -> HttpResponse:
    messages.error(request, error_text(error))
    return redirect("dashboard:upload", reference=experiment.key)


def _address(view: str, experiment: Experiment, token: str, query: QueryDict) -> str:
    address = reverse(view, args=[experiment.key, token])
    return f"{address}?{query.urlencode()}" if query else address


def _preview_page(request: HttpRequest, experiment: Experiment, kept: CsvUpload) -> HttpResponse:
    choices = ChoicesForm(request.GET, sheets_of(kept))
    shown = preview_upload(
        kept, options=choices.options(), sheet=choices.sheet_name, today=today(), now=timezone.now()
    )
    doubts = choices.shown(shown.report)
    context = tab_context(experiment, "data", today()) | {
        "upload": kept,
        "preview": shown,
        "choices": choices,
        "refused": refused_lines(kept, shown.report.issues, choices.sheet_name),
        "capped": _capped(shown.report.values_capped) if shown.report.values_capped else "",
        "doubts": doubts,
        "other_choices": choices.kept(doubts),
        "columns_address": _address("dashboard:columns", experiment, kept.token, request.GET),
    }
    return render(request, "dashboard/experiment/preview.html", context)


@edits
def columns(request: HttpRequest, experiment: Experiment, token: str) -> HttpResponse:
    """Ask what each column is, beside the first lines; recording the file makes the experiment remember it."""
    try:
        kept = _kept(request, experiment, token)
        found = first_lines(kept, ChoicesForm(request.GET, sheets_of(kept)).sheet_name)
    except (NotFoundError, InvalidError) as error:
        return _try_again(request, experiment, error)
    form = ColumnsForm(request.POST if request.method == "POST" else None, found)
    if form.is_bound and form.is_valid():
        name_columns(kept, form.answers())
        return redirect(_address("dashboard:preview", experiment, kept.token, request.GET))
    context = tab_context(experiment, "data", today())
    context |= {"upload": kept, "form": form, "found": found}
    return render(request, "dashboard/experiment/columns.html", context)


def _record(request: HttpRequest, experiment: Experiment, kept: CsvUpload) -> HttpResponse:
    choices = ChoicesForm(request.POST, sheets_of(kept))
    done = record_upload(
        experiment=experiment,
        owner=_owner(request),
        token=kept.token,
        options=choices.options(skip_bad_rows="skip" in request.POST),
        with_others="others" in request.POST,
        sheet=choices.sheet_name,
        today=today(),
        now=timezone.now(),
        bounds=upload_bounds("page"),
    )
    if not done.report.has_loaded:
        messages.error(request, _why_nothing(done))
        return redirect(_address("dashboard:preview", experiment, kept.token, choices.query()))
    messages.success(request, _recorded(done), extra_tags=OFFER_RECOMPUTE)
    return redirect("dashboard:data", reference=experiment.key)


def _why_nothing(done: CsvPreview) -> str:
    if done.report.left_out and not done.report.total_issues:
        return _("Nothing was recorded: every row is of another experiment. Tick the box to record them.")
    return _("Nothing was recorded: rows are refused. See below which, and why.")


def _capped(cut: int) -> str:
    text = ngettext(
        "%(cut)s order is above the experiment's value cap and counts as the cap.",
        "%(cut)s orders are above the experiment's value cap and count as the cap.",
        cut,
    )
    return text % {"cut": format_number(cut, 0)}


def _recorded(done: CsvPreview) -> str:
    """Say in a sentence what a file did."""
    rows = done.report.processed_rows
    text = ngettext("Recorded %(rows)s row.", "Recorded %(rows)s rows.", rows)
    if done.report.has_orders:
        text = ngettext("Recorded %(rows)s order.", "Recorded %(rows)s orders.", rows)
    said = [text % {"rows": format_number(rows, 0)}]
    if done.rows:
        counted = {kind: format_number(done.tally[kind], 0) for kind in ("added", "changed", "same")}
        said.append(_("Here %(added)s added, %(changed)s changed, %(same)s unchanged.") % counted)
    if cut := done.report.values_capped:
        said.append(_capped(cut))
    if done.report.refused_rows:
        refused = done.report.refused_rows
        text = ngettext("%(rows)s refused row was left out.", "%(rows)s refused rows were left out.", refused)
        said.append(text % {"rows": format_number(refused, 0)})
    if blank := done.report.blank_skipped:
        text = ngettext(
            "%(rows)s row with a blank cell was left out.",
            "%(rows)s rows with a blank cell were left out.",
            blank,
        )
        said.append(text % {"rows": format_number(blank, 0)})
    if done.report.left_out:
        left = done.report.left_out
        text = ngettext(
            "%(rows)s row of another experiment was left out.",
            "%(rows)s rows of other experiments were left out.",
            left,
        )
        said.append(text % {"rows": format_number(left, 0)})
    return " ".join(said)
