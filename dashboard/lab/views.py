"""The lab's pages, which compute without writing anything.

Each tool has a page, which shows the form and, asked with ``whole``, the finished result (what a browser without
scripts sends); and an address that streams the same result with its progress.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from dashboard.access import View, requires
from dashboard.lab import backtest, planner, simulator
from dashboard.lab.fields import LabForm
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
    @require_http_methods(_methods(tool))
    @requires(Role.VIEWER)
    def page(request: HttpRequest) -> HttpResponse:
        return _page(request, tool, _form(request, tool, with_example=True))

    return page


def _run_view(tool: Tool) -> View:
    @require_http_methods(_methods(tool))
    @requires(Role.VIEWER)
    def run(request: HttpRequest) -> HttpResponseBase:
        return _run(request, tool, _form(request, tool))

    return run


def _methods(tool: Tool) -> list[str]:
    return ["GET", "HEAD", *(["POST"] if tool.takes_file else [])]


def _form(request: HttpRequest, tool: Tool, *, with_example: bool = False) -> LabForm:
    """Fill in the form, which is posted with a file; all else fits into an address."""
    if request.method == "POST":
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
        "starts": is_valid and (asked or tool.runs_at_once),
        "presets": [(name, urlencode(values)) for name, values in tool.presets],
    }
    if is_valid and (WHOLE in request.GET or request.method == "POST"):
        question = tool.ask(form)
        answer = question.run(lambda: None)
        context |= {"is_finished": True, **tool.show(question, answer)}
    return render(request, f"dashboard/lab/{tool.name}.html", context)


def _run(request: HttpRequest, tool: Tool, form: LabForm) -> HttpResponseBase:
    """Stream the result; a form that is refused is the page's to show."""
    if not form.is_valid():
        return HttpResponse(_("The form has errors."), status=422, content_type="text/plain; charset=utf-8")
    question = tool.ask(form)

    def result(answer: Any) -> str:
        return render_to_string(
            f"dashboard/lab/_{tool.name}_result.html", tool.show(question, answer), request
        )

    return stream(question.run, question.steps, result)
