"""The simulator's page: from what is asked to a world and columns, and from their numbers to what is shown."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from django.utils.translation import gettext as _

from allocation.engine.lab.recommendation import CLEAR
from allocation.engine.lab.report import SimulationResult, WatchedResult
from allocation.engine.lab.simulation import make_world
from allocation.lab.compare import compare_in_world
from dashboard.charts import Chart
from dashboard.lab import charts
from dashboard.lab.contenders import Column, rule_columns, service_column
from dashboard.lab.forms import SimulatorForm
from dashboard.templatetags.formats import count, percent
from experiments.settings_schema import ALGORITHM_SETTINGS

Results = dict[str, WatchedResult]

# What a page begins with, and what is one click away; each shows something worth knowing.
PRESETS: tuple[tuple[str, dict[str, str]], ...] = (
    ("clear", {"rates": "4 6 4.5", "daily_traffic": "1000", "days": "30", "runs": "200"}),
    ("close", {
        "rates": "4 4.2 4.4", "daily_traffic": "3000", "days": "60", "runs": "100", "b_window_days": "14",
    }),
    ("weekend", {
        "rates": "5 5.2 5.5", "daily_traffic": "2000", "days": "28", "runs": "200", "scenario": "weekend",
        "b_day_adjustment": "off",
    }),
)  # fmt: skip


@dataclass(frozen=True)
class Simulation:
    """Everything that a run depends on; ``values`` is what the form found."""

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
    """Of a valid form. Settings B are a column of their own once any of them is filled in."""
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
            charts.shares(column, results[column.key].end, simulation.values["rates"])
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
        charts.best_in_front(simulation.columns, results, days),
        charts.regret(simulation.columns, results, days),
    ]


def sentences(simulation: Simulation, results: Results) -> list[str]:
    """What a person should know first."""
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
    """A difference of means of independent runs, beside its standard error."""
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
    """The least difference that is clear, from two standard errors; None where there is no error."""
    return None if first is None or second is None else CLEAR * float(np.hypot(first, second))


def _sureness(first: SimulationResult, second: SimulationResult, runs: int) -> str:
    """Less regret and more knowledge are two things; a difference of two proportions beside its standard error.

    One run more on either side, so that 20 of 20 is not taken for certainty (Agresti & Caffo 2000).
    """
    right = np.array([first.best_in_front, second.best_in_front])
    rate = (right * runs + 1) / (runs + 2)
    noise = CLEAR * float(np.sqrt((rate * (1 - rate)).sum() / (runs + 2)))
    return _(
        "The best is in front in %(a)s of the runs with A, in %(b)s with B; up to %(noise)s points may be chance."
    ) % {"a": percent(right[0], 0), "b": percent(right[1], 0), "noise": count(np.ceil(100 * noise))}


def commands_of(simulation: Simulation) -> list[str]:
    """The commands that print the same numbers. Their defaults are the table's, not the installation's."""
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
    """The settings that differ from the table's defaults, as options of a command."""
    chosen = asdict(column.settings)
    options = []
    for name, setting in ALGORITHM_SETTINGS.items():
        if chosen[name] != setting.default:
            option = name.replace("_", "-")
            options.append(f"--no-{option}" if setting.is_switch else f"--{option} {chosen[name]!r}")
    return options
