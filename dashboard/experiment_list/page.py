"""The list of experiments: what needs attention, the result of each, and the traffic that it sends."""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST, require_safe

from dashboard.access import requires
from dashboard.experiment_list.rows import rows_of
from dashboard.experiment_list.stages import Listed, Stage, listed
from dashboard.experiment_list.totals import recent_impressions, totals
from experiments.exceptions import DomainError
from experiments.models import Experiment
from experiments.roles import Role
from experiments.selectors import today
from experiments.services import archive_experiment
from experiments.text import Text

PAGE_SIZE = 50
_LONGEST_SEARCH = 200
_ATTENTION = "attention"
_TRAFFIC = "traffic"

# How the entries are sorted, each order with its label.
_Sort = Callable[[list[Listed], Mapping[int, int]], list[Listed]]


def _by(key: Callable[[Listed], Any], *, reverse: bool = False) -> _Sort:
    return lambda entries, _traffic: sorted(entries, key=key, reverse=reverse)


def _busiest_first(entries: list[Listed], traffic: Mapping[int, int]) -> list[Listed]:
    return sorted(entries, key=lambda one: -traffic.get(one.pk, 0))


def _closest(one: Listed) -> tuple[bool, float]:
    runs = one.stage in {Stage.LEARNING, Stage.LEADER, Stage.READY} and one.value_remaining is not None
    return not runs, one.value_remaining or 0.0


ORDERS: dict[str, tuple[Text, _Sort]] = {
    "attention": (gettext_lazy("Needs attention first"), _by(lambda one: one.urgency)),
    "newest": (gettext_lazy("Newest first"), lambda entries, _traffic: entries),
    "changed": (gettext_lazy("Recently changed"), _by(lambda one: one.updated_at, reverse=True)),
    "name": (gettext_lazy("By name"), _by(lambda one: (one.name.casefold(), one.pk))),
    _TRAFFIC: (gettext_lazy("Most traffic (7 days)"), _busiest_first),
    "decision": (gettext_lazy("Closest to a decision"), _by(_closest)),
}


class Chip(NamedTuple):
    """A filter by stage: its value in the address, its label, how many it would show, and whether it is chosen."""

    value: str
    label: Text
    number: int
    is_chosen: bool


@require_safe
@requires(Role.VIEWER, may_lag=True)
def experiments(request: HttpRequest) -> HttpResponse:
    """Searched, filtered and sorted by the query; unknown values count as none."""
    date, asked = today(), _asked(request)
    entries = listed(date)
    found = _searched(entries, asked.search, asked.tag)
    page = Paginator(_sorted(found, asked, date), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "section": "experiments",
        "page": page,
        "rows": rows_of(list(page), date),
        "totals": totals(len(entries), date),
        "chips": _chips(found, asked.stage),
        "orders": [(name, label, name == asked.order) for name, (label, _sort) in ORDERS.items()],
        "search": asked.search,
        "tag": asked.tag,
        "stage": asked.stage,
        "archived": asked.stage == Stage.ARCHIVED,
        "any": bool(entries),
    }
    return render(request, "dashboard/experiment_list/page.html", context)


class _Asked(NamedTuple):
    """The search, the filters and the order that the query names."""

    search: str
    tag: str
    stage: str
    order: str


def _asked(request: HttpRequest) -> _Asked:
    def text(name: str) -> str:
        return request.GET.get(name, "").strip()[:_LONGEST_SEARCH].replace("\x00", "")

    order = text("order")
    return _Asked(text("q"), text("tag"), text("stage"), order if order in ORDERS else "attention")


def shown_entries(request: HttpRequest, date: dt.date) -> list[Listed]:
    """List what the query shows, on all pages."""
    asked = _asked(request)
    return _sorted(_searched(listed(date), asked.search, asked.tag), asked, date)


def _sorted(found: Sequence[Listed], asked: _Asked, date: dt.date) -> list[Listed]:
    """Keep what the filter shows, in order; one query, if the order is that of the traffic."""
    traffic = recent_impressions(date) if asked.order == _TRAFFIC else {}
    return ORDERS[asked.order][1](_shown(found, asked.stage), traffic)


@require_POST
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


def _searched(entries: list[Listed], search: str, tag: str) -> list[Listed]:
    """Keep those that have the tag and every word, in whatever field; at most one query."""
    if not (search or tag):
        return entries
    chosen = Experiment.objects.tagged(tag) if tag else Experiment.objects.all()
    for word in search.split():
        chosen = chosen.filter(
            Q(name__icontains=word)
            | Q(key__icontains=word)
            | Q(description__icontains=word)
            | Q(owner__icontains=word)
            | Q(tags__icontains=word)
        )
    found = set(chosen.order_by().values_list("pk", flat=True))
    return [one for one in entries if one.pk in found]


def _shown(found: Sequence[Listed], stage: str) -> list[Listed]:
    if stage == _ATTENTION:
        return [one for one in found if one.needs_attention]
    if stage in Stage.values:
        return [one for one in found if one.stage == stage]
    return [one for one in found if one.stage != Stage.ARCHIVED]


def _chips(found: Sequence[Listed], chosen: str) -> list[Chip]:
    """One chip for each stage that has experiments; those for all and for what needs attention come first."""
    numbers = Counter(one.stage for one in found)
    everything = len(found) - numbers[Stage.ARCHIVED]
    attention = sum(one.needs_attention for one in found)
    known = chosen in Stage.values or chosen == _ATTENTION
    chips = [
        Chip("", gettext_lazy("All"), everything, not known),
        Chip(_ATTENTION, gettext_lazy("Needs attention"), attention, chosen == _ATTENTION),
        *(Chip(stage.value, stage.label, numbers[stage], chosen == stage) for stage in Stage),
    ]
    return [chip for chip in chips if chip.number or chip.is_chosen or not chip.value]
