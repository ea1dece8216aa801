"""The simulator's page: its form, the world and the columns that play in it, and what is shown of their numbers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from allocation.engine import Settings
from allocation.engine.lab.orders import OrderValues, order_values
from allocation.engine.lab.report import SimulationResult
from allocation.engine.lab.simulation import SCENARIOS, make_world
from allocation.engine.lab.tape import Tape
from allocation.lab.compare import compare_in_world
from allocation.lab.work import Work, together, work
from dashboard.charts import Chart, Series, nth_colour
from dashboard.lab import charts
from dashboard.lab.columns import EVEN, Column, rule_columns, service_column
from dashboard.lab.fields import (
    OrderValuesField,
    RatesField,
    SettingsColumns,
    daily_traffic_field,
    rules_field,
    seed_field,
    value_cv_field,
)
from dashboard.lab.simulator_words import Results, sentences
from dashboard.lab.tool import Preset, Tool
from experiments.settings_schema import ALGORITHM_SETTINGS, with_defaults
from experiments.tables.number_fields import WholeNumberField
from experiments.text import Text, format_number

# What a page begins with, and what is one click away; each shows something worth knowing.
PRESETS: tuple[Preset, ...] = (
    (gettext_lazy("Clear winner"), {"rates": "4 6 4.5", "daily_traffic": "1000", "days": "30", "runs": "200"}),
    (gettext_lazy("Close race"), {
        "rates": "4 4.2 4.4", "daily_traffic": "3000", "days": "60", "runs": "100", "b_window_days": "14",
    }),
    (gettext_lazy("Weekend effect"), {
        "rates": "5 5.2 5.5", "daily_traffic": "2000", "days": "28", "runs": "200", "scenario": "weekend",
        "b_day_adjustment": "off",
    }),
)  # fmt: skip


SCENARIO_NAMES: dict[str, Text] = {
    "constant": gettext_lazy("Stable rates"),
    "weekend": gettext_lazy("Weekend effect (rates double)"),
    "trend": gettext_lazy("Trend (rates triple)"),
    "shock": gettext_lazy("One-day spike (x3)"),
    "new-variant": gettext_lazy("Last variant added halfway"),
    "delayed": gettext_lazy("Delayed conversions (3 days)"),
    "swap": gettext_lazy("Order of the rates reverses halfway"),
    "drift": gettext_lazy("Each rate drifts from day to day"),
    "noisy": gettext_lazy("Each rate varies from day to day"),
    "weekday": gettext_lazy("Weekends favour the second variant"),
}


class SimulatorForm(SettingsColumns):
    """A world and the columns that play in it; all of it fits into an address."""

    prefixes = ("a", "b")
    template_fields = ("rates", "daily_traffic", "days", "runs", "scenario", "seed")

    rates = RatesField(
        label=gettext_lazy("True rates (%)"),
        help_text=gettext_lazy("Control first, for example 4 6 4.5."),
        initial="4 5",
        max_length=200,
    )
    daily_traffic = daily_traffic_field()
    days = WholeNumberField(label=gettext_lazy("Days"), min_value=1, max_value=365, initial=30)
    scenario = forms.ChoiceField(
        label=gettext_lazy("Scenario"),
        help_text=gettext_lazy("The last four change how the variants compare."),
        choices=[(name, SCENARIO_NAMES[name]) for name in SCENARIOS],
        initial="constant",
    )
    order_values = OrderValuesField(
        label=gettext_lazy("Mean order value of each variant"),
        help_text=gettext_lazy("For value per visitor, for example 50 60. Blank: successes are counted."),
        max_length=200,
        required=False,
    )
    value_cv = value_cv_field()
    policies = rules_field(
        gettext_lazy(
            "The even split is always included. Other policies have no minimum shares and no daily maximum."
        )
    )
    stop = forms.BooleanField(
        label=gettext_lazy("Stop when ready to decide"),
        help_text=gettext_lazy("From then on the leader gets all traffic."),
        required=False,
    )
    runs = WholeNumberField(
        label=gettext_lazy("Simulations"),
        help_text=gettext_lazy("More simulations, more precise results."),
        min_value=1,
        max_value=5000,
        initial=200,
    )
    seed = seed_field()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        worths, rates = cleaned.get("order_values"), cleaned.get("rates")
        if worths and rates and len(worths) != len(rates):
            message = _("%(worths)s values for %(rates)s rates; give one for each.")
            self.add_error("order_values", message % {"worths": len(worths), "rates": len(rates)})
        if {"rates", "days", "runs"} <= cleaned.keys():
            most = self._work(cleaned).runs_of_a_page()
            if most == 0:
                message = _(
                    "So many days, rates and columns are too much for a page. The command simulate has no such limit."
                )
                self.add_error("days", message)
            elif cleaned["runs"] > most:
                message = _(
                    "A page computes at most %(most)s simulations of so many days, rates and columns."
                    " The command simulate has no such limit."
                )
                self.add_error("runs", message % {"most": format_number(most, 0)})
        return cleaned

    def _work(self, cleaned: Mapping[str, Any]) -> Work:
        """Add up the columns: settings A, settings B where there are any, the even split and the other rules."""
        own = [self.own_settings(prefix) for prefix in self.prefixes]
        columns = [own[0], *filter(None, own[1:]), *[{}] * (1 + len(cleaned.get("policies", [])))]
        stop = bool(cleaned.get("stop"))
        return together(
            work(
                Settings(**with_defaults(column)),
                len(cleaned["rates"]),
                cleaned["days"],
                watch=True,
                stop=stop,
                values=orders_of(cleaned) is not None,
            )
            for column in columns
        )


def orders_of(values: Mapping[str, Any]) -> OrderValues | None:
    """Read what successes are worth; None where they are counted."""
    cv = values.get("value_cv")
    return order_values(
        len(values["rates"]), values.get("order_values"), None if cv is None else float(cv / 100)
    )


@dataclass(frozen=True)
class Simulation:
    """Everything that a run depends on; ``values`` are those of the form."""

    values: Mapping[str, Any]
    columns: Sequence[Column]

    @property
    def steps(self) -> int:
        return int(self.values["days"]) * len(self.columns)

    @property
    def by_value(self) -> bool:
        return orders_of(self.values) is not None

    def run(self, on_day: Callable[[], object], tape: Tape | None = None) -> Results:
        values = self.values
        rates = np.array(values["rates"])
        size = values["daily_traffic"], values["days"], values["runs"]
        world = make_world(values["scenario"], rates, *size, values["seed"], orders_of(values))
        contenders = [column.contender for column in self.columns]
        return compare_in_world(
            contenders, world, values["seed"], stop=values["stop"], on_day=on_day, tape=tape
        )


def simulation_of(form: SimulatorForm) -> Simulation:
    """Read a valid form. Settings B are a column of their own once any of them is filled in."""
    first, second = form.own_settings("a"), form.own_settings("b")
    columns = [service_column(0, "a", _("Settings A") if second else _("Bandit"), first)]
    if second:
        columns.append(service_column(1, "b", _("Settings B"), second))
    columns += rule_columns(form.cleaned_data["policies"])
    return Simulation(form.cleaned_data, columns)


@dataclass(frozen=True)
class Row:
    """One column's line in the table of results; ``ratio``: its regret over that of the even split.

    ``is_measure``: it is what the others' gains are measured against. What it gains on itself in the numbers is chance:
    how the visitors happened to be split.
    """

    column: Column
    result: SimulationResult
    ratio: float | None
    is_measure: bool


def result_context(simulation: Simulation, results: Results) -> dict[str, Any]:
    return {
        "simulation": simulation,
        "rows": _rows(simulation, results),
        "sentences": sentences(
            simulation.values, simulation.columns[0].name, results, by_value=simulation.by_value
        ),
        "charts": _charts(simulation, results),
        "share_charts": [
            shares(column, results[column.key].end, simulation.values["rates"])
            for column in simulation.columns
            if column.is_service
        ],
        "one_variant_a_day": any(column.one_variant_a_day for column in simulation.columns),
        "commands": commands_of(simulation),
        "usable": [column for column in simulation.columns if column.is_service and column.own],
    }


def _rows(simulation: Simulation, results: Results) -> list[Row]:
    even = results["even"].end.regret_mean
    measure = None if simulation.values["stop"] else EVEN.key  # one that stops goes on with the leader
    return [
        Row(
            column,
            (end := results[column.key].end),
            end.regret_mean / even if even > 0 else None,
            column.key == measure,
        )
        for column in simulation.columns
    ]


def _charts(simulation: Simulation, results: Results) -> list[Chart]:
    days = simulation.values["days"]
    return [
        best_in_front(simulation.columns, results, days),
        regret(simulation.columns, results, days, by_value=simulation.by_value),
    ]


def best_in_front(columns: Sequence[Column], results: Results, days: int) -> Chart:
    return Chart(
        id="best-in-front",
        title=_("Probability that the best variant leads"),
        note=_("Share of simulations in which the leading variant is truly the best, by day."),
        x_title=_("Day"),
        y_title=_("Share of simulations"),
        x=charts.day_numbers(days),
        y_max=1,
        series=charts.lines(columns, results, lambda result: result.best_in_front_by_day),
    )


def regret(columns: Sequence[Column], results: Results, days: int, *, by_value: bool = False) -> Chart:
    """Draw means with the middle 80% of the runs."""
    note = _(
        "Cumulative clicks lost vs always showing the best: mean of the simulations, and the band "
        "that holds 80% of them."
    )
    if by_value:
        note = _(
            "Cumulative value lost vs always showing the best: mean of the simulations, and the band "
            "that holds 80% of them."
        )
    return Chart(
        id="regret",
        title=_("Regret"),
        note=note,
        unit="count",
        x_title=_("Day"),
        y_title=_("Value") if by_value else _("Clicks"),
        x=charts.day_numbers(days),
        bounds=("p10", "p90"),
        series=[
            Series(
                column.name,
                column.colour,
                results[column.key].regret_mean_by_day,
                results[column.key].regret_p10_by_day,
                results[column.key].regret_p90_by_day,
            )
            for column in columns
        ],
    )


def shares(column: Column, result: SimulationResult, rates: Sequence[float]) -> Chart:
    by_day = result.mean_shares_by_day
    return Chart(
        id=f"shares-{column.key}",
        title=_("Traffic allocation: %(column)s") % {"column": column.name},
        note=_("Traffic share of each variant by day, mean of the simulations."),
        kind="area",
        x_title=_("Day"),
        y_title=_("Traffic share"),
        x=charts.day_numbers(len(by_day)),
        y_max=1,
        series=[
            Series(name, nth_colour(place), [day[place] for day in by_day])
            for place, name in enumerate(charts.variant_names(rates))
        ],
    )


def commands_of(simulation: Simulation) -> list[str]:
    """Write the commands that print the same numbers. Their defaults are the table's, not the installation's."""
    service = [column for column in simulation.columns if column.is_service]
    others = [column for column in simulation.columns if not column.is_service]
    return [_command(simulation, column, [column]) for column in service] + [
        _command(simulation, others[0], others)
    ]


def _command(simulation: Simulation, settings_of: Column, columns: Sequence[Column]) -> str:
    values = simulation.values
    options = [
        f"--rates {','.join(repr(rate) for rate in values['rates'])}",
        f"--daily-traffic {values['daily_traffic']} --days {values['days']} --runs {values['runs']}",
        *_order_options(values),
        f"--scenario {values['scenario']} --seed {values['seed']}",
        f"--policies {','.join(column.contender.policy for column in columns)}",
        *(["--stop value-remaining"] if values["stop"] else []),
        *setting_options(settings_of),
    ]
    return " ".join(["./dev manage simulate", *options])


def _order_options(values: Mapping[str, Any]) -> list[str]:
    found = []
    if values["order_values"] is not None:
        found.append(f"--order-values {','.join(f'{worth:g}' for worth in values['order_values'])}")
    if values["value_cv"] is not None:
        found.append(f"--value-cv {float(values['value_cv'] / 100)!r}")
    return found


def setting_options(column: Column) -> list[str]:
    """Write the settings that differ from the table's defaults, as options of a command."""
    chosen = asdict(column.settings)
    options = []
    for name, setting in ALGORITHM_SETTINGS.items():
        if chosen[name] != setting.default:
            option = name.replace("_", "-")
            options.append(f"--no-{option}" if setting.is_switch else f"--{option} {chosen[name]!r}")
    return options


TOOL = Tool("simulator", SimulatorForm, simulation_of, result_context, runs_at_once=True, presets=PRESETS)
