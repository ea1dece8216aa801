"""The pages that compute without writing anything: simulator, backtest, planner; and how the algorithm is set.

Each of the three has a page, which shows the form and, asked with ``whole``, the finished result (what a browser
without scripts sends); and an address that streams the same result with its progress.
"""

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from dashboard import algorithm_page as handbook
from dashboard.access import requires
from dashboard.lab import backtest as backtests
from dashboard.lab import planner as planners
from dashboard.lab import simulator as simulators
from dashboard.lab.fields import LabForm
from dashboard.lab.forms import BacktestForm, PlannerForm, SimulatorForm
from dashboard.lab.stream import stream
from experiments.roles import Role

WHOLE = "whole"


class _Tool(NamedTuple):
    """One of the three. ``ask`` makes of a valid form what is computed; ``show`` the context of its result."""

    name: str
    form: type[LabForm]
    ask: Callable[[Any], Any]
    show: Callable[[Any, Any], dict[str, Any]]
    runs_at_once: bool = True


_SIMULATOR = _Tool("simulator", SimulatorForm, simulators.simulation_of, simulators.result_context)
_BACKTEST = _Tool(
    "backtest", BacktestForm, backtests.backtest_of, backtests.result_context, runs_at_once=False
)
_PLANNER = _Tool("planner", PlannerForm, planners.plan_of, planners.result_context)


@require_safe
@requires(Role.VIEWER)
def simulator(request: HttpRequest) -> HttpResponse:
    query = request.GET or QueryDict(urlencode(simulators.PRESETS[0][1]))
    return _page(request, _SIMULATOR, SimulatorForm.of(query), presets=_presets())


@require_safe
@requires(Role.VIEWER)
def simulator_run(request: HttpRequest) -> HttpResponseBase:
    return _run(request, _SIMULATOR, SimulatorForm.of(request.GET))


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Role.VIEWER)
def backtest(request: HttpRequest) -> HttpResponse:
    return _page(request, _BACKTEST, _backtest_form(request))


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Role.VIEWER)
def backtest_run(request: HttpRequest) -> HttpResponseBase:
    return _run(request, _BACKTEST, _backtest_form(request))


@require_safe
@requires(Role.VIEWER)
def planner(request: HttpRequest) -> HttpResponse:
    return _page(request, _PLANNER, PlannerForm.of(request.GET))


@require_safe
@requires(Role.VIEWER)
def planner_run(request: HttpRequest) -> HttpResponseBase:
    return _run(request, _PLANNER, PlannerForm.of(request.GET))


@require_safe
@requires(Role.VIEWER)
def algorithm(request: HttpRequest) -> HttpResponse:
    context = {
        "section": "algorithm",
        "settings": handbook.setting_rows(),
        "chapter": handbook.how_it_decides(),
    }
    return render(request, "dashboard/algorithm.html", context)


def _backtest_form(request: HttpRequest) -> BacktestForm:
    """Posted with a file; the sample alone fits into an address."""
    if request.method == "POST":
        return BacktestForm.of(request.POST, request.FILES)
    return BacktestForm.of(request.GET)


def _page(request: HttpRequest, tool: _Tool, form: LabForm, **more: Any) -> HttpResponse:
    asked = bool(request.GET) or request.method == "POST"
    is_valid = form.is_valid()
    context = {
        "section": tool.name,
        "page_url": reverse(f"dashboard:{tool.name}"),
        "run_url": reverse(f"dashboard:{tool.name}-run"),
        "form": form,
        "starts": is_valid and (asked or tool.runs_at_once),
        **more,
    }
    if is_valid and (WHOLE in request.GET or request.method == "POST"):
        question = tool.ask(form)
        answer = question.run(lambda: None)
        context |= {"is_finished": True, **tool.show(question, answer)}
    return render(request, f"dashboard/lab/{tool.name}.html", context)


def _run(request: HttpRequest, tool: _Tool, form: LabForm) -> HttpResponseBase:
    """A form that is refused is the page's to show."""
    if not form.is_valid():
        return HttpResponse(_("The form has errors."), status=422, content_type="text/plain; charset=utf-8")
    question = tool.ask(form)

    def result(answer: Any) -> str:
        return render_to_string(
            f"dashboard/lab/_{tool.name}_result.html", tool.show(question, answer), request
        )

    return stream(question.run, question.steps, result)


def _presets() -> list[tuple[str, str]]:
    """A name, and the query that fills the form."""
    names = {"clear": _("Clear winner"), "close": _("Close race"), "weekend": _("Weekend swings")}
    return [(names[key], urlencode(values)) for key, values in simulators.PRESETS]
