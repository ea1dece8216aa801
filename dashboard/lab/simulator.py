"""The simulator's page: its form, the world and the columns that play in it, and what is shown of their numbers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from allocation.engine import Settings
from allocation.engine.lab.recommendation import CLEAR
from allocation.engine.lab.report import SimulationResult, WatchedResult
from allocation.engine.lab.simulation import SCENARIOS, make_world
from allocation.lab.compare import compare_in_world
from allocation.lab.work import MOST_MICROSECONDS, work
from dashboard.charts import Chart, Series, nth_colour
from dashboard.lab import charts
from dashboard.lab.columns import Column, rule_columns, service_column
from dashboard.lab.fields import RatesField, SettingsColumns, daily_traffic_field, rules_field, seed_field
from dashboard.lab.tool import Preset, Tool
from dashboard.templatetags.formats import count, percent
from experiments.number_fields import WholeNumberField
from experiments.settings_schema import ALGORITHM_SETTINGS, with_defaults
from experiments.text import Text, format_number

Results = dict[str, WatchedResult]

# What a page begins with, and what is one click away; each shows something worth knowing.
PRESETS: tuple[Preset, ...] = (
    (gettext_lazy("Clear winner"), {"rates": "4 6 4.5", "daily_traffic": "1000", "days": "30", "runs": "200"}),
    (gettext_lazy("Close race"), {
        "rates": "4 4.2 4.4", "daily_traffic": "3000", "days": "60", "runs": "100", "b_window_days": "14",
    }),
    (gettext_lazy("Weekend swings"), {
        "rates": "5 5.2 5.5", "daily_traffic": "2000", "days": "28", "runs": "200", "scenario": "weekend",
        "b_day_adjustment": "off",
    }),
)  # fmt: skip


SCENARIO_NAMES: dict[str, Text] = {
    "constant": gettext_lazy("Nothing: rates stay"),
    "weekend": gettext_lazy("Rates double at weekends"),
    "trend": gettext_lazy("Rates rise threefold"),
    "shock": gettext_lazy("Rates triple on one day"),
    "new-variant": gettext_lazy("The last variant comes late"),
    "delayed": gettext_lazy("Outcomes come late"),
    "swap": gettext_lazy("The best becomes the worst"),
    "drift": gettext_lazy("Each rate drifts, day by day"),
    "noisy": gettext_lazy("Each rate is unsteady"),
    "weekday": gettext_lazy("Weekends favour the second variant"),
}


class SimulatorForm(SettingsColumns):
    """A world and the columns that play in it; all of it fits into an address."""

    prefixes = ("a", "b")
    template_fields = ("rates", "daily_traffic", "days", "runs", "scenario", "seed")

    rates = RatesField(
        label=gettext_lazy("True rates, percent"),
        help_text=gettext_lazy("One for each variant, the control first, separated by spaces."),
        initial="4 5",
        max_length=200,
    )
    daily_traffic = daily_traffic_field()
    days = WholeNumberField(label=gettext_lazy("Days"), min_value=1, max_value=365, initial=30)
    scenario = forms.ChoiceField(
        label=gettext_lazy("What happens"),
        help_text=gettext_lazy(
            "Halfway through: the late variant, the best that becomes the worst. Late outcomes: over three days. "
            "The last four change how the variants compare."
        ),
        choices=[(name, SCENARIO_NAMES[name]) for name in SCENARIOS],
        initial="constant",
    )
    policies = rules_field(
        gettext_lazy("The even split is always there. Other rules have no floors and no daily cap.")
    )
    stop = forms.BooleanField(
        label=gettext_lazy("Stop once it is decided"),
        help_text=gettext_lazy("From then on the leader gets all traffic."),
        required=False,
    )
    runs = WholeNumberField(
        label=gettext_lazy("Runs"),
        help_text=gettext_lazy("Each plays all days again. More runs, steadier numbers."),
        min_value=1,
        max_value=5000,
        initial=200,
    )
    seed = seed_field()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if {"rates", "days", "runs"} <= cleaned.keys():
            most = max(int(MOST_MICROSECONDS / self._work_of_a_run(cleaned)), 1)
            if cleaned["runs"] > most:
                message = _(
                    "A page computes at most %(most)s runs of so many days, rates and columns. "
                    "The command has no such bound."
                )
                self.add_error("runs", message % {"most": format_number(most, 0)})
        return cleaned

    def _work_of_a_run(self, cleaned: Mapping[str, Any]) -> float:
        """Add up the columns: settings A, settings B where there are any, the even split and the other rules."""
        own = [self.own_settings(prefix) for prefix in self.prefixes]
        columns = [own[0], *filter(None, own[1:]), *[{}] * (1 + len(cleaned.get("policies", [])))]
        stop = bool(cleaned.get("stop"))
        return sum(
            work(
                Settings(**with_defaults(column)),
                len(cleaned["rates"]),
                cleaned["days"],
                watch=True,
                stop=stop,
            )
            for column in columns
        )


@dataclass(frozen=True)
class Simulation:
    """Everything that a run depends on; ``values`` are those of the form."""

    values: Mapping[str, Any]
    columns: Sequence[Column]

    @property
    def steps(self) -> int:
        return int(self.values["days"]) * len(self.columns)

    def run(self, on_day: Callable[[], object]) -> Results:
        values = self.values
        rates = np.array(values["rates"])
        size = values["daily_traffic"], values["days"], values["runs"]
        world = make_world(values["scenario"], rates, *size, values["seed"])
        contenders = [column.contender for column in self.columns]
        return compare_in_world(contenders, world, values["seed"], stop=values["stop"], on_day=on_day)


def simulation_of(form: SimulatorForm) -> Simulation:
    """Read a valid form. Settings B are a column of their own once any of them is filled in."""
    first, second = form.own_settings("a"), form.own_settings("b")
    columns = [service_column(0, "a", _("Settings A") if second else _("The service"), first)]
    if second:
        columns.append(service_column(1, "b", _("Settings B"), second))
    columns += rule_columns(form.cleaned_data["policies"])
    return Simulation(form.cleaned_data, columns)


@dataclass(frozen=True)
class Row:
    """One column's line in the table of results; ``ratio``: its regret over that of the even split."""

    column: Column
    result: SimulationResult
    ratio: float | None


def result_context(simulation: Simulation, results: Results) -> dict[str, Any]:
    return {
        "simulation": simulation,
        "rows": _rows(simulation, results),
        "sentences": sentences(simulation, results),
        "charts": _charts(simulation, results),
        "share_charts": [
            shares(column, results[column.key].end, simulation.values["rates"])
            for column in simulation.columns
            if column.is_service
        ],
        "one_variant_a_day": any(column.one_variant_a_day for column in simulation.columns),
        "commands": commands_of(simulation),
    }


def _rows(simulation: Simulation, results: Results) -> list[Row]:
    even = results["even"].end.regret_mean
    return [
        Row(column, (end := results[column.key].end), end.regret_mean / even if even > 0 else None)
        for column in simulation.columns
    ]


def _charts(simulation: Simulation, results: Results) -> list[Chart]:
    days = simulation.values["days"]
    return [
        best_in_front(simulation.columns, results, days),
        regret(simulation.columns, results, days),
    ]


def best_in_front(columns: Sequence[Column], results: Results, days: int) -> Chart:
    return Chart(
        id="best-in-front",
        title=_("Chance that the best is in front"),
        note=_("After each day: the part of the runs in which the variant in front is truly the best."),
        x_title=_("Day"),
        y_title=_("Part of the runs"),
        x=charts.day_numbers(days),
        y_max=1,
        series=charts.lines(columns, results, lambda result: result.best_in_front_by_day),
    )


def regret(columns: Sequence[Column], results: Results, days: int) -> Chart:
    """Draw means with the middle 80% of the runs."""
    return Chart(
        id="regret",
        title=_("Regret"),
        note=_(
            "Clicks lost so far against always serving the best: the mean of the runs, and the band that holds 80% of "
            "them."
        ),
        unit="count",
        x_title=_("Day"),
        y_title=_("Clicks"),
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
        title=_("Traffic split: %(column)s") % {"column": column.name},
        note=_("Each variant's share of the traffic, day by day, on average over the runs."),
        kind="area",
        x_title=_("Day"),
        y_title=_("Share of traffic"),
        x=charts.day_numbers(len(by_day)),
        y_max=1,
        series=[
            Series(name, nth_colour(place), [day[place] for day in by_day])
            for place, name in enumerate(charts.variant_names(rates))
        ],
    )


def sentences(simulation: Simulation, results: Results) -> list[str]:
    """Say what a person should know first."""
    found = [_first_sentence(simulation, results["a"].end)]
    if "b" in results:
        found.append(_comparison(results["a"], results["b"]))
        found.append(_sureness(results["a"].end, results["b"].end, simulation.values["runs"]))
    return found


def _first_sentence(simulation: Simulation, result: SimulationResult) -> str:
    runs = simulation.values["runs"]
    return _(
        "%(name)s: after %(days)s days the best variant is in front in %(right)s of %(runs)s runs. "
        "On average a run gains %(gained)s clicks over an even split, and finding out costs %(lost)s."
    ) % {
        "name": simulation.columns[0].name,
        "days": count(simulation.values["days"]),
        "right": count(result.best_in_front * runs),
        "runs": count(runs),
        "gained": count(result.gain_over_even_mean),
        "lost": count(result.regret_mean),
    }


def _comparison(first: WatchedResult, second: WatchedResult) -> str:
    """Compare the means of independent runs, beside the standard error of their difference."""
    difference = second.end.regret_mean - first.end.regret_mean
    noise = _noise(first.regret_standard_error, second.regret_standard_error)
    values = {
        "a": count(first.end.regret_mean),
        "b": count(second.end.regret_mean),
        "noise": count(noise),
        "less": count(abs(difference)),
    }
    if noise is None or abs(difference) <= noise:
        return (
            _(
                "No clear difference in clicks lost: %(a)s with A, %(b)s with B. More runs would tell them apart."
            )
            % values
        )
    if difference < 0:
        return _("B loses %(less)s clicks less than A (give or take %(noise)s).") % values
    return _("B loses %(less)s clicks more than A (give or take %(noise)s).") % values


def _noise(first: float | None, second: float | None) -> float | None:
    """Find the least difference that is clear, from two standard errors; None where one is unknown."""
    return None if first is None or second is None else CLEAR * float(np.hypot(first, second))


def _sureness(first: SimulationResult, second: SimulationResult, runs: int) -> str:
    """Compare how often the best is found, beside the standard error: less regret is not more knowledge.

    One run more on either side, so that 20 of 20 is not taken for certainty (Agresti & Caffo 2000).
    """
    right = np.array([first.best_in_front, second.best_in_front])
    rate = (right * runs + 1) / (runs + 2)
    noise = CLEAR * float(np.sqrt((rate * (1 - rate)).sum() / (runs + 2)))
    return _(
        "The best is in front in %(a)s of the runs with A, in %(b)s with B; up to %(noise)s points may be chance."
    ) % {"a": percent(right[0], 0), "b": percent(right[1], 0), "noise": count(np.ceil(100 * noise))}


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
        f"--scenario {values['scenario']} --seed {values['seed']}",
        f"--policies {','.join(column.contender.policy for column in columns)}",
        *(["--stop value-remaining"] if values["stop"] else []),
        *setting_options(settings_of),
    ]
    return " ".join(["./dev manage simulate", *options])


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
