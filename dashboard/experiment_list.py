"""The list of experiments: what runs, how it is split, what it has brought."""

import datetime as dt
from collections.abc import Callable

from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from allocation.models import State
from allocation.selectors import in_state, nearest_to_a_decision
from dashboard.access import requires
from dashboard.experiment.summary import TOTALS_DAYS, status_counts, summarise, totals
from experiments.models import Experiment, ExperimentQuerySet, Status
from experiments.roles import Role
from experiments.selectors import today

PAGE_SIZE = 20
_LONGEST_SEARCH = 200

# How each order is made of the experiments and the day.
Order = Callable[[ExperimentQuerySet, dt.date], ExperimentQuerySet]
ORDERS: dict[str, tuple[object, Order]] = {
    "newest": (_("Newest first"), lambda chosen, _today: chosen.order_by("-created_at", "-pk")),
    "changed": (_("Last changed"), lambda chosen, _today: chosen.order_by("-updated_at", "-pk")),
    "name": (_("By name"), lambda chosen, _today: chosen.order_by("name", "pk")),
    "traffic": (
        _("Most traffic, 7 days"),
        lambda chosen, today: chosen.busiest_first(today - dt.timedelta(days=TOTALS_DAYS - 1), today),
    ),
    "decision": (_("Nearest to a decision"), nearest_to_a_decision),
}
ARCHIVED = "archived"


@require_safe
@requires(Role.VIEWER)
def experiments(request: HttpRequest) -> HttpResponse:
    """Searched, filtered and ordered by the query; unknown values count as none."""
    date, counts = today(), status_counts()
    search = request.GET.get("q", "").strip()[:_LONGEST_SEARCH].replace("\x00", "")
    status, state = request.GET.get("status", ""), request.GET.get("state", "")
    order = request.GET.get("order", "")
    order = order if order in ORDERS else "newest"
    found = ORDERS[order][1](_chosen(search, status, state, date), date)
    page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "section": "experiments",
        "page": page,
        "rows": summarise(list(page), date),
        "totals": totals(date),
        "running": counts[Status.ACTIVE],
        "statuses": _status_links(counts, status),
        "orders": [(name, label, name == order) for name, (label, _columns) in ORDERS.items()],
        "states": [(s.value, s.label, s == state) for s in State],
        "search": search,
        "status": status,
        "any": sum(counts.values()) > 0,
    }
    return render(request, "dashboard/experiments.html", context)


def _chosen(search: str, status: str, state: str, date: dt.date) -> ExperimentQuerySet:
    chosen = Experiment.objects.with_variants().filter(archived_at__isnull=status != ARCHIVED)
    if status in Status.values:
        chosen = chosen.filter(status=status)
    if state in State.values:
        chosen = in_state(chosen, state, date)
    for word in search.split():
        chosen = chosen.filter(
            Q(name__icontains=word) | Q(key__icontains=word) | Q(description__icontains=word)
        )
    return chosen


def _status_links(counts: dict[str, int], chosen: str) -> list[tuple[str, object, int, bool]]:
    """Value, label, how many, and whether it is the one shown; statuses without experiments are left out."""
    current = chosen if chosen in {*Status.values, ARCHIVED} else ""
    everything = sum(number for name, number in counts.items() if name != ARCHIVED)
    links: list[tuple[str, object, int, bool]] = [("", _("All"), everything, current == "")]
    links += [(s.value, s.label, counts[s.value], current == s.value) for s in Status]
    links.append((ARCHIVED, _("Archived"), counts[ARCHIVED], current == ARCHIVED))
    return [link for link in links if link[2] or link[3]]
