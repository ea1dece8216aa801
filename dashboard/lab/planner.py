"""The planner's page: its form, and how long a test takes by the classical plan and by the engine in simulation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from allocation.engine.analysis.convergence import first_passed
from allocation.engine.lab.orders import order_values
from allocation.engine.lab.report import WatchedResult
from allocation.engine.lab.sample_size import POWER, FixedHorizon, fixed_horizon
from allocation.engine.lab.simulation import make_world
from allocation.engine.lab.tape import Tape
from allocation.lab.compare import compare_in_world
from allocation.lab.work import MOST_MICROSECONDS, together, work
from dashboard.charts import Chart, Mark
from dashboard.lab import charts
from dashboard.lab.columns import Column, service_column
from dashboard.lab.fields import LabForm, daily_traffic_field, seed_field, value_cv_field
from dashboard.lab.tool import Tool
from experiments.settings_schema import SettingValue
from experiments.tables.number_fields import PercentField, WholeNumberField

Results = dict[str, WatchedResult]
# Half a year: who waits longer than that has another question.
_MOST_DAYS = 180
_LEAST_DAYS = 28
# Days that a team may plan for. A number of decades is no plan.
_LONGEST_PLAN = 3 * 365
# A few seconds of one core; a run that is decided early costs less than it is taken for.
_WORK = MOST_MICROSECONDS * 0.8
_MOST_RUNS = 400
_FEWEST_RUNS = 20
# The defaults of the first engine, which many installations still have in mind.
_TWO_WEEKS: dict[str, SettingValue] = {
    "window_days": 14,
    "memory": False,
    "dispersion": False,
    "beta_prior": 1.0,
}


class PlannerForm(LabForm):
    """A test to plan; all of it fits into an address."""

    template_fields = ("base_rate", "uplift", "daily_traffic", "variants", "seed")

    base_rate = PercentField(
        label=gettext_lazy("Baseline rate (%)"),
        help_text=gettext_lazy("Current rate of the control."),
        min_value=Decimal("0.01"),
        max_value=Decimal("90"),
        max_digits=8,
        decimal_places=4,
        initial=Decimal("5"),
    )
    uplift = PercentField(
        label=gettext_lazy("Minimum detectable effect (relative %)"),
        help_text=gettext_lazy("20 means 5% to 6%."),
        min_value=Decimal("1"),
        max_value=Decimal("500"),
        max_digits=7,
        decimal_places=2,
        initial=Decimal("20"),
    )
    daily_traffic = daily_traffic_field()
    variants = WholeNumberField(
        label=gettext_lazy("Variants incl. control"), min_value=2, max_value=10, initial=2
    )
    value_cv = value_cv_field()
    seed = seed_field()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if {"base_rate", "uplift"} <= cleaned.keys() and better_rate(cleaned) >= 1:
            self.add_error("uplift", _("With this lift the better rate would reach 100%. Lower one of them."))
        return cleaned


def better_rate(values: Mapping[str, Any]) -> float:
    return float(values["base_rate"] / 100 * (1 + values["uplift"] / 100))


@dataclass(frozen=True)
class Plan:
    """Everything that a run depends on.

    ``days``: how far the simulation goes, twice as long as the classical test where that is not too much work.
    """

    rates: tuple[float, ...]
    daily_traffic: int
    seed: int
    classical: FixedHorizon
    days: int
    runs: int
    columns: Sequence[Column]
    value_cv: float | None = None

    @property
    def steps(self) -> int:
        return self.days * len(self.columns)

    @property
    def is_feasible(self) -> bool:
        """Check whether the classical test ends in a time that a team may wait."""
        return self.classical.days <= _LONGEST_PLAN

    @property
    def is_cut_short(self) -> bool:
        """Check whether the classical test goes on after the simulation's last day."""
        return self.classical.days > self.days

    def run(self, on_day: Callable[[], object], tape: Tape | None = None) -> Results:
        orders = order_values(len(self.rates), None, self.value_cv)
        size = self.daily_traffic, self.days, self.runs
        world = make_world("constant", np.array(self.rates), *size, orders=orders)
        contenders = [column.contender for column in self.columns]
        return compare_in_world(contenders, world, self.seed, stop=True, on_day=on_day, tape=tape)


def plan_of(form: PlannerForm) -> Plan:
    """Read a valid form: all variants are as good as the control, but for the last."""
    values = form.cleaned_data
    base, variants = float(values["base_rate"] / 100), values["variants"]
    cv = None if values["value_cv"] is None else float(values["value_cv"] / 100)
    classical = fixed_horizon(base, better_rate(values), variants, values["daily_traffic"], value_cv=cv or 0)
    columns, are_values = _columns(), cv is not None
    days = min(max(2 * classical.days, _LEAST_DAYS), _MOST_DAYS)
    while days > _LEAST_DAYS and _runs(columns, variants, days, are_values) < _FEWEST_RUNS:
        days = max(days - 7, _LEAST_DAYS)
    return Plan(
        rates=(*[base] * (variants - 1), better_rate(values)),
        daily_traffic=values["daily_traffic"],
        seed=values["seed"],
        classical=classical,
        days=days,
        runs=min(max(_runs(columns, variants, days, are_values), _FEWEST_RUNS), _MOST_RUNS),
        columns=columns,
        value_cv=cv,
    )


def _runs(columns: Sequence[Column], variants: int, days: int, values: bool) -> int:
    """Count the runs that a page can compute."""
    works = (
        work(column.settings, variants, days, watch=True, stop=True, values=values) for column in columns
    )
    return together(works).runs_within(_WORK)


def _columns() -> list[Column]:
    """Plan as installed, and as before engine 2, where that is something else."""
    installed = service_column(0, "installed", _("Current"), {})
    before = service_column(1, "before", _("Last 14 days only"), _TWO_WEEKS)
    return [installed] if installed.settings == before.settings else [installed, before]


@dataclass(frozen=True)
class Answer:
    """Days, finds and clicks of one column, compared with the classical plan over the ``compared`` days.

    ``median`` and ``p90`` are None where so many runs were not decided in the days simulated.
    """

    column: Column
    median: int | None
    p90: int | None
    stopped: float
    found: float
    compared: int
    gained: float
    lost: float

    @property
    def is_shaky(self) -> bool:
        """Check whether stopping was often a matter of chance, as it is where there is too little data."""
        return self.found < POWER


def result_context(plan: Plan, results: Results) -> dict[str, Any]:
    return {
        "plan": plan,
        "classical": plan.classical,
        "power": POWER,
        "answers": [_answer(plan, column, results[column.key]) for column in plan.columns],
        "chart": decided(plan.columns, results, plan.days, plan.classical.days),
        "names": charts.variant_names(plan.rates),
    }


def _answer(plan: Plan, column: Column, result: WatchedResult) -> Answer:
    compared = min(plan.classical.days, plan.days)
    return Answer(
        column=column,
        median=_day(result.stopped_by_day, 0.5),
        p90=_day(result.stopped_by_day, 0.9),
        stopped=result.end.stopped,
        found=result.end.best_in_front,
        compared=compared,
        gained=result.gain_over_even_mean_by_day[compared - 1],
        lost=result.regret_mean_by_day[compared - 1],
    )


def decided(columns: Sequence[Column], results: Results, days: int, classical_days: int) -> Chart:
    """Draw how many runs have come to an end by each day, beside the one day of the classical test."""
    mark = Mark("x", classical_days, _("fixed-horizon test ends"))
    return Chart(
        id="decided",
        title=_("Probability of being ready to decide, by day"),
        note=_("Share of simulations in which less than 1% is left to gain, so that the test can stop."),
        x_title=_("Day"),
        y_title=_("Share of simulations"),
        x=charts.day_numbers(days),
        y_max=1,
        marks=[mark] if classical_days <= days else [],
        series=charts.lines(columns, results, lambda result: result.stopped_by_day),
    )


def _day(stopped: Sequence[float], part: float) -> int | None:
    place = first_passed(np.array(stopped), part)
    return None if place is None else place + 1


TOOL = Tool("planner", PlannerForm, plan_of, result_context, runs_at_once=True)
