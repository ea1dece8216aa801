import json
import math
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

import numpy as np
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from allocation.engine.lab.orders import (
    DEFAULT_CV,
    LARGEST_CV,
    LARGEST_WORTH,
    LEAST_WORTH,
    OrderValues,
    order_values,
)
from allocation.engine.lab.report import SimulationResult, simulate_policies
from allocation.engine.lab.simulation import SCENARIOS, make_world
from allocation.management.setting_options import (
    add_run_options,
    add_setting_options,
    read_policies,
    read_settings,
    whole_number,
)

# Twelve arrays of this many numbers fit into two gigabytes.
_MAX_CELLS = 20_000_000
_COLUMNS = (
    "regret_mean",
    "regret_p10",
    "regret_p90",
    "gain_over_even_mean",
    "best_in_front",
    "stop_day_mean",
    "stop_day_median",
)


def _rates(text: str) -> list[float]:
    try:
        rates = [float(part) for part in text.split(",")]
    except ValueError:
        rates = [math.nan]
    if not (2 <= len(rates) <= 100 and all(0 <= rate <= 1 for rate in rates)):
        raise ArgumentTypeError(f"must be 2 to 100 numbers from 0 to 1, separated by commas, not {text!r}")
    return rates


def _order_values(text: str) -> list[float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = [math.nan]
    if not all(LEAST_WORTH <= value <= LARGEST_WORTH for value in values):
        raise ArgumentTypeError(f"must be numbers from {LEAST_WORTH} to {LARGEST_WORTH:,}, not {text!r}")
    return values


def _value_cv(text: str) -> float:
    try:
        cv = float(text)
    except ValueError:
        cv = math.nan
    if not 0 <= cv <= LARGEST_CV:
        raise ArgumentTypeError(f"must be a number from 0 to {LARGEST_CV}, not {text!r}")
    return cv


def _orders(options: dict[str, Any]) -> OrderValues | None:
    """Return what successes are worth, where one of both options says that value is the goal."""
    worths, variants = options["order_values"], len(options["rates"])
    if worths is not None and len(worths) != variants:
        raise CommandError(f"--order-values: {len(worths)} for {variants} rates; one each is needed")
    return order_values(variants, worths, options["value_cv"])


class Command(BaseCommand):
    help = "Play an experiment forward with known rates, with the production decision and other policies."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--rates", type=_rates, required=True, help="True rates, the control first: 0.04,0.05"
        )
        parser.add_argument(
            "--order-values",
            type=_order_values,
            metavar="LIST",
            help="The mean value of a success of each variant, for the goal of value per visit: 50,60.",
        )
        parser.add_argument(
            "--value-cv",
            type=_value_cv,
            metavar="N",
            help=f"How much single values vary: standard deviation over mean, log-normal (default {DEFAULT_CV:g}).",
        )
        parser.add_argument(
            "--daily-traffic", type=whole_number(1, 10**9), default=1000, help="Default 1000."
        )
        parser.add_argument("--days", type=whole_number(1, 3650), default=60, help="Default 60.")
        parser.add_argument("--scenario", choices=SCENARIOS, default="constant", help="Default constant.")
        parser.add_argument(
            "--stop", choices=["value-remaining"], help="End a run once less than 1%% is left to gain."
        )
        add_run_options(parser, runs=500, policies="thompson,even")
        add_setting_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        settings, policies = read_settings(options), read_policies(options["policies"])
        rates, days, runs = np.array(options["rates"]), options["days"], options["runs"]
        if len(rates) * days * runs > _MAX_CELLS:
            raise CommandError(f"--runs times --days times variants must not exceed {_MAX_CELLS:,}")
        world = make_world(
            options["scenario"],
            rates,
            options["daily_traffic"],
            days,
            runs,
            options["seed"],
            _orders(options),
        )
        with tqdm(total=days * len(policies), desc="days", leave=False) as bar:
            results = simulate_policies(
                policies,
                world,
                settings,
                options["seed"],
                stop=options["stop"] is not None,
                on_day=bar.update,
            )
        if options["json"]:
            self.stdout.write(
                json.dumps({"policies": {name: result.to_json() for name, result in results.items()}})
            )
        else:
            self._print(results, options)

    def _print(self, results: dict[str, SimulationResult], options: dict[str, Any]) -> None:
        self.stdout.write(
            f"{options['runs']:,} runs of {options['days']} days, {options['daily_traffic']:,} visits a day, "
            f"rates {options['rates']}, {options['scenario']}, seed {options['seed']}"
        )
        if (orders := _orders(options)) is not None:
            worth = ", ".join(f"{mean:g}" for mean in orders.mean)
            self.stdout.write(
                f"a success brings {worth} on average, standard deviation {orders.cv:.0%} of it"
            )
        self.stdout.write(f"{'':15}" + "".join(f"{name:>20}" for name in _COLUMNS))
        for name, result in results.items():
            self.stdout.write(
                f"{name:15}" + "".join(f"{getattr(result, column):20,.3f}" for column in _COLUMNS)
            )
        self.stdout.write("mean shares at the end of the first, the middle and the last day:")
        for name, result in results.items():
            shares = result.mean_shares_by_day
            for day in sorted({0, len(shares) // 2, len(shares) - 1}):
                split = " ".join(f"{share:.3f}" for share in shares[day])
                self.stdout.write(f"{name:15} day {day + 1:<5} {split}")
