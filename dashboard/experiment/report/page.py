"""The report: one page to print or to share, for people of the dashboard and by link for those outside."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from dashboard.access import requires
from dashboard.experiment.actions import error_text, on_experiment
from dashboard.experiment.report.archive import experiment_archive
from dashboard.experiment.report.contents import report_of
from dashboard.experiment.report.limits import count_wrong_link, seconds_to_wait
from dashboard.experiment.report.links import DAYS, create_link, find_link, open_links, revoke_link
from dashboard.experiment.summary import experiment_or_404
from dashboard.experiment.tabs import tab_context
from dashboard.models import ReportLink
from dashboard.posts.sent_once import note_sent, refuse_repeated
from experiments.database.moment import answer_may_lag, one_moment
from experiments.exceptions import DomainError
from experiments.models import Experiment
from experiments.roles import Role
from experiments.selectors import today

_HERE = "dashboard:report"
_USUAL_DAYS = 30


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Role.VIEWER, to_post=Role.ANALYST, may_lag=True)
@refuse_repeated
def report(request: HttpRequest, reference: str) -> HttpResponse:
    """Show the report; a POST makes a link for so many ``days`` and shows it in the answer, and never again."""
    made = ""
    if request.method == "POST":
        made = _make_link(request, experiment_or_404(reference, today()))
    with one_moment():
        return _page(request, reference, made)


def _page(request: HttpRequest, reference: str, made: str) -> HttpResponse:
    experiment = experiment_or_404(reference, today())
    found = report_of(experiment, today())
    context = tab_context(experiment, "report", today(), found["summary"].allocation) | found
    context |= {
        "links": open_links(experiment, timezone.now()),
        "days": [(days, days == _USUAL_DAYS) for days in DAYS],
        "made": made,
        "now": timezone.now(),
    }
    response = render(request, "dashboard/experiment/report.html", context)
    response["Cache-Control"] = "no-store"  # the page may hold a secret
    return response


def _make_link(request: HttpRequest, experiment: Experiment) -> str:
    """Return the address of a new link; empty where it is refused, which the page then says."""
    days = request.POST.get("days", "")
    try:
        token = create_link(
            experiment=experiment,
            days=int(days) if days.isascii() and days.isdigit() and len(days) < 5 else 0,
            now=timezone.now(),
        )
    except DomainError as error:
        messages.error(request, error_text(error))
        return ""
    note_sent(request)
    return request.build_absolute_uri(reverse("dashboard:shared-report", args=[token]))


@on_experiment(back=_HERE)
def revoke(request: HttpRequest, experiment: Experiment, link_id: int) -> str:
    revoke_link(experiment=experiment, link_id=link_id, now=timezone.now())
    return _("The link is revoked: it opens nothing any more.")


@require_safe
def shared(request: HttpRequest, token: str) -> HttpResponse:
    """Show the report of a link to anyone who has it, and nothing else."""
    if wait := seconds_to_wait(request):
        response = _for_strangers(request, {"problem": _("Too many requests. Try again later.")}, 429)
        response["Retry-After"] = str(wait)
        return response
    link = find_link(token, timezone.now())
    if link is None:
        count_wrong_link(request)
        problem = _("This link is wrong, has expired or was revoked. Ask for a new one.")
        return _for_strangers(request, {"problem": problem}, 404)
    return _report_by_link(request, link)


@answer_may_lag
def _report_by_link(request: HttpRequest, link: ReportLink) -> HttpResponse:
    experiment = experiment_or_404(str(link.experiment_id), today())
    context = report_of(experiment, today()) | {"link": link, "now": timezone.now()}
    return _for_strangers(request, context, 200)


def _for_strangers(request: HttpRequest, context: dict[str, Any], status: int) -> HttpResponse:
    """Keep the address, which is the secret, out of search engines, caches and other sites' logs."""
    response = render(request, "dashboard/experiment/report/shared.html", context, status=status)
    response["X-Robots-Tag"] = "noindex, nofollow, noarchive"
    response["Referrer-Policy"] = "no-referrer"
    response["Cache-Control"] = "no-store"
    return response


@require_safe
@requires(Role.VIEWER, may_lag=True)
def archive(request: HttpRequest, reference: str) -> StreamingHttpResponse:
    """Stream everything that is known of an experiment as one ZIP."""
    experiment = experiment_or_404(reference, today())
    headers = {"Content-Disposition": f'attachment; filename="{experiment.key}.zip"'}
    blocks = experiment_archive(experiment, today())
    return StreamingHttpResponse(blocks, content_type="application/zip", headers=headers)
