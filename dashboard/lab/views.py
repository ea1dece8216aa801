"""The lab's pages, which compute without writing anything.

Each tool has a page, which shows the form and, asked with ``whole``, the finished result (what a browser without
scripts sends); and an address that streams the same result with its progress. A long computation takes several
requests, each of which brings along what those before it computed.
"""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from allocation.engine.lab.tape import Tape
from dashboard.access import View, requires
from dashboard.example_numbers import EXAMPLE, example_note
from dashboard.lab import backtest, planner, simulator
from dashboard.lab.budget import refusal, seconds_to_wait
from dashboard.lab.fields import LabForm
from dashboard.lab.parts import COMPUTED, Pace, PausedError, question_of, seal, unseal
from dashboard.lab.stream import stream
from dashboard.lab.tool import Tool
from experiments.roles import Role

WHOLE = "whole"
TOOLS: Sequence[Tool] = (simulator.TOOL, backtest.TOOL, planner.TOOL)


def urls() -> list[URLPattern]:
    return [
        pattern
        for tool in TOOLS
        for pattern in (
            path(f"{tool.name}/", _page_view(tool), name=tool.name),
            path(f"{tool.name}/run/", _run_view(tool), name=f"{tool.name}-run"),
        )
    ]


def _page_view(tool: Tool) -> View:
    @require_http_methods(["GET", "HEAD", *(["POST"] if tool.takes_file else [])])
    @requires(Role.VIEWER)
    def page(request: HttpRequest) -> HttpResponse:
        return _page(request, tool, _form(request, tool, with_example=True))

    return page


def _run_view(tool: Tool) -> View:
    @require_http_methods(["GET", "HEAD", "POST"])
    @requires(Role.VIEWER)
    def run(request: HttpRequest) -> HttpResponseBase:
        return _run(request, tool, _form(request, tool))

    return run


def _form(request: HttpRequest, tool: Tool, *, with_example: bool = False) -> LabForm:
    """Fill in the form, which is posted with a file; all else fits into an address, also of a post that goes on."""
    if request.method == "POST" and not request.GET:
        return tool.form.of(request.POST, request.FILES)
    if with_example and tool.presets and not request.GET:
        return tool.form.of(QueryDict(urlencode(tool.presets[0][1])))
    return tool.form.of(request.GET)


def _page(request: HttpRequest, tool: Tool, form: LabForm) -> HttpResponse:
    asked = bool(request.GET) or request.method == "POST"
    is_valid = form.is_valid()
    context = {
        "section": tool.name,
        "page_url": reverse(f"dashboard:{tool.name}"),
        "run_url": reverse(f"dashboard:{tool.name}-run"),
        "form": form,
        "example_note": example_note(request.GET.get(EXAMPLE, "")),
        "starts": is_valid and (asked or tool.runs_at_once),
        "presets": [(name, urlencode(values)) for name, values in tool.presets],
    }
    if is_valid and (WHOLE in request.GET or request.method == "POST"):
        return _whole(request, tool, form, context)
    return _shown(request, tool, context)


def _shown(request: HttpRequest, tool: Tool, context: dict[str, Any], status: int = 200) -> HttpResponse:
    return render(request, f"dashboard/lab/{tool.name}.html", context, status=status)


def _whole(request: HttpRequest, tool: Tool, form: LabForm, context: dict[str, Any]) -> HttpResponse:
    """Compute at once, where that is within one request's share of a core."""
    if seconds := seconds_to_wait(request):
        response = _shown(request, tool, {**context, "refusal": refusal(seconds)}, 429)
        response["Retry-After"] = str(seconds)
        return response
    question, tape = tool.ask(form), Tape()
    try:
        answer = question.run(Pace(tape), tape)
    except PausedError:
        message = _("Without JavaScript this takes too long. Enable it, or use fewer simulations or days.")
        return _shown(request, tool, {**context, "refusal": message})
    return _shown(request, tool, {**context, "is_finished": True, **tool.show(question, answer)})


def _run(request: HttpRequest, tool: Tool, form: LabForm) -> HttpResponseBase:
    """Stream the result, or a part of the way to it; a form that is refused is the page's to show."""
    if not form.is_valid():
        return _plain(_("The form has errors."), 422)
    if seconds := seconds_to_wait(request):
        response = _plain(refusal(seconds), 429)
        response["Retry-After"] = str(seconds)
        return response
    question = tool.ask(form)
    name = question_of(tool.name, form, [column.contender for column in question.columns])
    tape = unseal(request.POST[COMPUTED], name) if COMPUTED in request.POST else Tape()
    if tape is None:
        return _plain(_("The form has changed. Run it again."), 422)

    def work(on_step: Callable[[], object]) -> Any:
        pace = Pace(tape)

        def step() -> None:
            on_step()
            pace()

        return question.run(step, tape)

    def result(answer: Any) -> str:
        return render_to_string(
            f"dashboard/lab/_{tool.name}_result.html", tool.show(question, answer), request
        )

    return stream(work, question.steps, result, lambda: seal(tape, name))


def _plain(message: str, status: int) -> HttpResponse:
    return HttpResponse(message, status=status, content_type="text/plain; charset=utf-8")
