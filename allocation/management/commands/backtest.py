import json
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from allocation.engine.lab.backtest import PastTest, by_size
from allocation.engine.lab.policies import Policy
from allocation.engine.lab.report import BacktestResult, backtest_policies
from allocation.engine.settings import Settings
from allocation.exceptions import PastTestsError
from allocation.lab.past_tests import GOALS, Repeated, read_past_tests
from allocation.lab.spread import backtest_by_workers
from allocation.management.setting_options import (
    add_run_options,
    add_setting_options,
    read_policies,
    read_settings,
    whole_number,
)
from experiments.exceptions import InvalidError
from experiments.metrics import Reward
from experiments.tables.reading.opening import open_table
from experiments.workers import NoWorkersError, has_workers

# Eight arrays of this many numbers fit into two gigabytes.
_MAX_CELLS = 30_000_000


def _read(path: Path, goal: Reward, repeated: Repeated) -> list[PastTest]:
    """Read the tests; a CommandError names the line and what is wrong with it."""
    try:
        table = open_table(lambda: path.open("rb"))
        return [test.counts for test in read_past_tests(table, goal, repeated)]
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error}") from error
    except PastTestsError as error:
        first = error.row_issues[0]
        place = f"line {first.line}, {first.column}" if first.line else str(path)
        raise CommandError(f"{place}: {first.message}") from error
    except InvalidError as error:
        raise CommandError(f"{path}: {error.issues[0].message}") from error


def _play(
    policies: Mapping[str, Policy], tests: list[PastTest], settings: Settings, options: dict[str, Any]
) -> dict[str, BacktestResult]:
    """Play here, with a progress bar; where there are workers, each policy in one of them, to the same numbers."""
    seed, days, runs = options["seed"], options["days"], options["runs"]
    if has_workers():
        try:
            return backtest_by_workers(list(policies), tests, settings, seed, days=days, runs=runs)
        except NoWorkersError as error:
            raise CommandError(f"{error}. Without CELERY_BROKER_URL it is computed here.") from error
    total = days * len({*policies, "even"}) * len(by_size(tests))
    with tqdm(total=total, desc="days", leave=False) as bar:
        return backtest_policies(policies, tests, settings, seed, days=days, runs=runs, on_day=bar.update)


class Command(BaseCommand):
    help = "What the production decision and other policies would have saved in tests that are over."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="CSV or .xlsx with experiment,variant,impressions,clicks")
        parser.add_argument(
            "--goal",
            choices=[goal.value for goal in GOALS],
            default=Reward.CTR.value,
            help="value_per_impression needs the columns conversions,value_sum,value_squares in place of clicks.",
        )
        parser.add_argument(
            "--repeated",
            choices=["refuse", "sum"],
            default="refuse",
            help="Rows of one experiment and variant: a problem (the default), or parts to be added up.",
        )
        parser.add_argument("--days", type=whole_number(1, 3650), default=14, help="Default 14.")
        add_run_options(parser, runs=5, policies="thompson,even")
        add_setting_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        settings, policies = read_settings(options), read_policies(options["policies"])
        tests = _read(options["file"], Reward(options["goal"]), options["repeated"])
        days, runs = options["days"], options["runs"]
        groups = by_size(tests)
        if max(k * len(group) for (k, _), group in groups.items()) * days * runs > _MAX_CELLS:
            raise CommandError(f"--runs times --days times variants must not exceed {_MAX_CELLS:,}")
        results = _play(policies, tests, settings, options)
        if options["json"]:
            printed = {name: result.to_json() for name, result in results.items()}
            self.stdout.write(json.dumps({"tests": len(tests), "policies": printed}))
        else:
            self._print(results, tests, options)

    def _print(
        self, results: dict[str, BacktestResult], tests: list[PastTest], options: dict[str, Any]
    ) -> None:
        variants = sum(len(test.impressions) for test in tests)
        plural = "s" * (len(tests) != 1)
        unit = "value" if Reward(options["goal"]).is_value else "clicks"
        self.stdout.write(
            f"{len(tests):,} test{plural}, {variants:,} variants, {options['days']} days, {options['runs']} runs each, "
            f"seed {options['seed']}; regret and gain in {unit}, summed over the tests"
        )
        self.stdout.write(f"{'':15}{'regret':>12}{'of even':>9}{'extra vs even':>16}{'best leads':>15}")
        for name, result in results.items():
            ratio = "-" if result.regret_ratio is None else f"{result.regret_ratio:.3f}"
            self.stdout.write(
                f"{name:15}{result.regret:12,.0f}{ratio:>9}{result.gain_over_even:z16,.0f}{result.best_in_front:15.3f}"
            )
        if len(tests) == 1:
            self.stdout.write("One test says little: do not choose settings by it.")
