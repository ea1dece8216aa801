"""From an experiment to the lab, and back: the lab's forms filled in from what was observed, settings brought along."""

import math
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from allocation.exceptions import NoActiveVariantError
from allocation.statistics.experiment import analyse
from allocation.statistics.world import ObservedWorld, observed_world
from dashboard.access import requires
from dashboard.example_numbers import EXAMPLE, Invented
from dashboard.experiment.summary import experiment_or_404
from dashboard.settings.labels import as_typed
from dashboard.settings.proposal import proposed_settings
from experiments.exceptions import InvalidError
from experiments.models import Experiment, Status
from experiments.roles import Role
from experiments.selectors import today

# The most that the lab's forms take, and the bounds of a rate that can be planned for.
_MOST_RATES, _MOST_PLANNED = 12, 10
_LEAST_PERCENT, _MOST_PERCENT = 0.01, 90.0
_DAYS, _RUNS = "30", "100"
_MOST_TRAFFIC = 10**9
_FEWEST = 2
# Those of the simulator's first example, which stand for rates that are not known yet.
_EXAMPLE = (0.04, 0.06, 0.045)
_NOTHING = ObservedWorld([], 0)
# A list that one can still choose from; a new experiment is always among the choices.
_MOST_TAKERS = 200


@require_safe
@requires(Role.VIEWER)
def simulate(request: HttpRequest, reference: str) -> HttpResponse:
    """Open the simulator with the rates, the traffic and the settings of an experiment, as far as it has them."""
    experiment = experiment_or_404(reference, today())
    own = as_typed(experiment.own_settings())
    query = {f"a_{name}": value for name, value in own.items()}
    return _to("simulator", {**_simulated(_world(experiment), _variants(experiment)), **query})


@require_safe
@requires(Role.VIEWER)
def plan(request: HttpRequest, reference: str) -> HttpResponse:
    """Open the planner with the control's rate and the traffic of an experiment, as far as it has them."""
    experiment = experiment_or_404(reference, today())
    world = _world(experiment)
    query = {"variants": str(min(_variants(experiment), _MOST_PLANNED)), **_traffic(world), **_spread(world)}
    if world.has_control:
        percent = min(max(100 * world.rates[0], _LEAST_PERCENT), _MOST_PERCENT)
        query["base_rate"] = _rounded(percent, 4)
    if world.rates and not world.has_control:
        return _to("planner", {**query, EXAMPLE: Invented.BASELINE})
    return _to("planner", query | _said(world, all_known=world.has_control))


@require_safe
@requires(Role.ANALYST)
def use_settings(request: HttpRequest) -> HttpResponse:
    """Ask for which experiment settings of the lab are; then bring them into its form, or a new one's, unsaved."""
    proposed = proposed_settings(request.GET)
    if "experiment" not in request.GET:
        context = {"section": "simulator", "proposed": proposed, "takers": _takers()}
        return render(request, "dashboard/lab/use.html", context)
    query = {"use": "1", **proposed}
    reference = request.GET["experiment"]
    if not reference:
        return _to("new", query)
    experiment = experiment_or_404(reference, today())
    address = reverse("dashboard:settings", kwargs={"reference": experiment.key})
    return redirect(f"{address}?{urlencode(query)}")


def _takers() -> list[tuple[str, str]]:
    """List key and name of the experiments that can be changed, those changed last first; one query."""
    chosen = Experiment.objects.filter(archived_at=None).exclude(status=Status.COMPLETED)
    return list(chosen.order_by("-updated_at").values_list("key", "name")[:_MOST_TAKERS])


def _world(experiment: Experiment) -> ObservedWorld:
    try:
        found = analyse(experiment, today(), with_secondary=False, always_valid=False)
    except (NoActiveVariantError, InvalidError):
        return _NOTHING
    return observed_world(found, _MOST_RATES) or _NOTHING


def _variants(experiment: Experiment) -> int:
    """Count those to compare: a test of one is planned against another."""
    return max(sum(variant.is_active for variant in experiment.variants.all()), _FEWEST)


def _simulated(world: ObservedWorld, variants: int) -> dict[str, str]:
    """Fill in the simulator: the rates that are known, else two or more that are examples."""
    rates, values = world.rates, world.order_values
    if len(rates) < _FEWEST:
        rates = _example_rates(rates, min(variants, _MOST_RATES))
        values = values and values * len(rates)
    return {
        "rates": " ".join(_rounded(100 * rate, 6) for rate in rates),
        "days": _DAYS,
        "runs": _RUNS,
        **_traffic(world),
        **({"order_values": " ".join(_rounded(value, 4) for value in values)} if values else {}),
        **_spread(world),
        **_said(world, all_known=len(world.rates) >= _FEWEST),
    }


def _example_rates(known: Sequence[float], variants: int) -> list[float]:
    """Put others beside the one rate that is known, if any: in proportion to it as those of the simulator's example."""
    first = known[0] if known else _EXAMPLE[0]
    proportions = [rate / _EXAMPLE[0] for rate in _EXAMPLE] + [1.0] * variants
    return [min(first * proportion, 1.0) for proportion in proportions[:variants]]


def _traffic(world: ObservedWorld) -> dict[str, str]:
    return {"daily_traffic": str(min(world.daily_trials, _MOST_TRAFFIC))} if world.daily_trials else {}


def _said(world: ObservedWorld, *, all_known: bool) -> dict[str, str]:
    """Name in the address what the page says of numbers that are examples."""
    if all_known:
        return {}
    if world.rates:
        return {EXAMPLE: Invented.OTHER_RATES}
    return {EXAMPLE: Invented.RATES if world.daily_trials else Invented.ALL}


def _spread(world: ObservedWorld) -> dict[str, str]:
    return {} if world.value_cv is None else {"value_cv": _decimal(100 * world.value_cv, 2)}


def _rounded(number: float, most: int) -> str:
    """Write a number with four digits that count, which tell rates apart; with 2 to ``most`` decimals."""
    if number <= 0:
        return _decimal(number, 2)
    return _decimal(number, min(max(2, 3 - math.floor(math.log10(number))), most))


def _decimal(number: float, places: int) -> str:
    text = f"{number:.{places}f}"
    return text.rstrip("0").rstrip(".")


def _to(page: str, query: Mapping[str, str]) -> HttpResponseRedirect:
    address = reverse(f"dashboard:{page}")
    return HttpResponseRedirect(f"{address}?{urlencode(query)}" if query else address)
