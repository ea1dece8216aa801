"""The list of experiments: what needs attention, the result of each, and the traffic that it sends."""

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_safe

from dashboard.access import requires
from dashboard.experiment_list.listing import (
    ATTENTION,
    BY_TRAFFIC,
    Asked,
    Found,
    Look,
    Numbers,
    look_of,
    page_of,
)
from dashboard.experiment_list.rows import rows_of
from dashboard.experiment_list.stages import Listed, Stage
from dashboard.experiment_list.totals import totals
from dashboard.posts.post_only import post_only
from experiments.exceptions import DomainError
from experiments.models import Experiment
from experiments.roles import Role
from experiments.selectors import today
from experiments.services import archive_experiment
from experiments.text import Text

PAGE_SIZE = 50
_LONGEST_SEARCH, _LONGEST_PAGE = 200, 9

ORDERS: dict[str, Text] = {
    ATTENTION: gettext_lazy("Needs attention first"),
    "newest": gettext_lazy("Newest first"),
    "changed": gettext_lazy("Recently changed"),
    "name": gettext_lazy("By name"),
    BY_TRAFFIC: gettext_lazy("Most traffic (7 days)"),
    "decision": gettext_lazy("Closest to a decision"),
}


class Chip(NamedTuple):
    """A filter by stage: its value in the address, its label, how many it would show, and whether it is chosen."""

    value: str
    label: Text
    number: int
    is_chosen: bool


class _Pages(Paginator[Listed]):
    """Pages of a list whose length is known, one of which was read with it."""

    def __init__(self, asked: Asked, date: dt.date, look: Look, known: int) -> None:
        super().__init__([], PAGE_SIZE)
        self.count, self._asked, self._date = look.numbers.shown(asked.stage), asked, date
        self._read = {known: look.page}

    def page(self, number: int | str) -> Page[Listed]:
        place = self.validate_number(number)
        read = self._read.get(place)
        if read is None:
            read = page_of(self._asked, self._date, start=_start(place), most=PAGE_SIZE)
        return Page(read, place, self)


@require_safe
@requires(Role.VIEWER, may_lag=True)
def experiments(request: HttpRequest) -> HttpResponse:
    """Searched, filtered and sorted by the query; unknown values count as none."""
    date, query = today(), _query(request)
    asked, place = _asked(query), _place(request)
    look = look_of(asked, date, start=_start(place), most=PAGE_SIZE)
    numbers, page = look.numbers, _Pages(asked, date, look, place).get_page(request.GET.get("page"))
    rows = rows_of(list(page), date)
    context = {
        "section": "experiments",
        "page": page,
        "rows": rows,
        "may_select": any(row.may_be_archived for row in rows),
        "totals": totals(numbers.everything, date),
        "chips": _chips(numbers, query.stage),
        "orders": [(name, label, name == query.order) for name, label in ORDERS.items()],
        "search": query.search,
        "tag": query.tag,
        "stage": query.stage,
        "archived": query.stage == Stage.ARCHIVED,
        "any": numbers.everything > 0,
    }
    return render(request, "dashboard/experiment_list/page.html", context)


def _place(request: HttpRequest) -> int:
    """Read the number of the page; 1 where it is none, or larger than any page."""
    text = request.GET.get("page", "")
    return max(int(text), 1) if text.isascii() and text.isdigit() and len(text) < _LONGEST_PAGE else 1


def _start(place: int) -> int:
    return (place - 1) * PAGE_SIZE


class _Query(NamedTuple):
    """The search, the filters and the order that the address names."""

    search: str
    tag: str
    stage: str
    order: str


def _query(request: HttpRequest) -> _Query:
    def text(name: str) -> str:
        return request.GET.get(name, "").strip()[:_LONGEST_SEARCH].replace("\x00", "")

    order = text("order")
    return _Query(text("q"), text("tag"), text("stage"), order if order in ORDERS else ATTENTION)


def _asked(query: _Query) -> Asked:
    return Asked(_found(query.search, query.tag), query.stage, query.order)


def shown_entries(request: HttpRequest, date: dt.date) -> list[Listed]:
    """List what the query shows, on all pages, as of one moment."""
    return page_of(_asked(_query(request)), date)


@post_only("dashboard:experiments")
@requires(Role.ANALYST)
def archive_selected(request: HttpRequest) -> HttpResponse:
    """Archive the experiments that are ticked, or restore them; those that cannot be are named, with the reason."""
    restore = request.POST.get("do") == "restore"
    done, refused = _archive(request.POST.getlist("experiment"), archived=not restore)
    if done:
        message = (
            ngettext("%(count)s experiment restored.", "%(count)s experiments restored.", done)
            if restore
            else ngettext("%(count)s experiment archived.", "%(count)s experiments archived.", done)
        )
        messages.success(request, message % {"count": done})
    elif not refused:
        messages.error(request, _("Select at least one experiment."))
    for problem in refused:
        messages.error(request, problem)
    back = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()})
    return redirect(back if is_ours else "dashboard:experiments")


def _archive(references: Sequence[str], *, archived: bool) -> tuple[int, list[str]]:
    """Each by itself, in one transaction of its own: what is refused does not hold up the others."""
    done, refused = 0, []
    ids = [int(one) for one in references[:PAGE_SIZE] if one.isascii() and one.isdigit() and len(one) < 19]
    for pk in ids:
        try:
            archive_experiment(experiment_id=pk, now=timezone.now(), archived=archived)
        except DomainError as error:
            refused.append(str(error))
        else:
            done += 1
    return done, refused


def _found(search: str, tag: str) -> Found:
    """Find those that have the tag and every word, in whatever field."""
    if not (search or tag):
        return Found()
    chosen = Experiment.objects.tagged(tag) if tag else Experiment.objects.all()
    for word in search.split():
        chosen = chosen.filter(
            Q(name__icontains=word)
            | Q(key__icontains=word)
            | Q(description__icontains=word)
            | Q(owner__icontains=word)
            | Q(tags__icontains=word)
        )
    return Found(*chosen.order_by().values("pk").query.sql_with_params())


def _chips(numbers: Numbers, chosen: str) -> list[Chip]:
    """One chip for each stage that has experiments; those for all and for what needs attention come first."""
    known = chosen in Stage.values or chosen == ATTENTION
    chips = [
        Chip("", gettext_lazy("All"), numbers.shown(""), not known),
        Chip(ATTENTION, gettext_lazy("Needs attention"), numbers.attention, chosen == ATTENTION),
        *(Chip(stage.value, stage.label, numbers.shown(stage), chosen == stage) for stage in Stage),
    ]
    return [chip for chip in chips if chip.number or chip.is_chosen or not chip.value]
