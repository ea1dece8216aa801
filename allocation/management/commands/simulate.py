import json
import math
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

import numpy as np
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

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


class Command(BaseCommand):
    help = "Play an experiment forward with known rates, with the production decision and other policies."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--rates", type=_rates, required=True, help="True rates, the control first: 0.04,0.05"
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
        world = make_world(options["scenario"], rates, options["daily_traffic"], days, runs, options["seed"])
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
