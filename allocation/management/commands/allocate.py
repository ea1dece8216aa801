import datetime as dt
import signal
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from allocation.services import compute_allocations
from allocation.sweep import SweptChunk, run_daily_sweep
from allocation.sweep.chunk import swept
from allocation.sweep.processes import jobs_problem
from allocation.sweep.signals import stopping_at_a_signal
from experiments.exceptions import ExperimentNotFoundError
from experiments.ingestion.validation import EARLIEST_DATE
from experiments.management.plain import PlainCommand
from experiments.models import Experiment
from experiments.selectors import find_experiment, today

_DATE_HELP = (
    "The target date (default: today). A date before that of a decision that has split traffic is refused; "
    "a decision for tomorrow is made again with each new one for today."
)


_JOBS_HELP = "Processes that decide at the same time, on PostgreSQL (default: 1). Each takes about 120 MB."
# As a shell says of a process that a signal ended.
_STOPPED = 128 + signal.SIGTERM


def _jobs(text: str) -> int:
    jobs = int(text) if text.isascii() and text.isdigit() else 0
    if problem := jobs_problem(jobs):
        raise ArgumentTypeError(f"{text!r} {problem}")
    return jobs


def _date(text: str) -> dt.date:
    try:
        date = dt.date.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a date such as 2025-08-14") from error
    if not EARLIEST_DATE <= date <= today() + dt.timedelta(days=1):
        raise ArgumentTypeError(f"{text} is not between {EARLIEST_DATE} and tomorrow")
    return date


class Command(PlainCommand):
    help = "Compute and record allocations, of one experiment or of all active ones (the default)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--experiment", help="Its id or key. The exit code is 1 where it fails.")
        which.add_argument("--all", action="store_true", help="Every active experiment.")
        parser.add_argument("--date", type=_date, help=_DATE_HELP)
        parser.add_argument("--jobs", type=_jobs, default=1, help=_JOBS_HELP)

    def handle(self, *args: Any, **options: Any) -> None:
        target_date, now = options["date"] or today(), timezone.now()
        if options["experiment"]:
            self._one(_experiment_id(options["experiment"]), target_date, now)
        else:
            self._all(target_date, now, options["jobs"])

    def _one(self, pk: int, target_date: dt.date, now: dt.datetime) -> None:
        outcome = compute_allocations(experiment_ids=[pk], target_date=target_date, now=now)[0]
        self._report(SweptChunk((swept(outcome),)))
        failed = int(outcome.error is not None)
        self.stdout.write(f"{1 - failed} computed for {target_date}, {failed} failed.")
        if outcome.error:
            raise CommandError("The experiment that was named has no new allocation.")

    def _all(self, target_date: dt.date, now: dt.datetime, jobs: int) -> None:
        with stopping_at_a_signal() as stop:
            sweep = run_daily_sweep(
                target_date=target_date,
                now=now,
                report=self._report,
                stopped=stop.is_set,
                jobs=jobs,
            )
        self.stdout.write(f"{sweep.computed} computed for {target_date}, {sweep.failed} failed.")
        if sweep.faults:
            raise CommandError("some failed by a fault, which the log has; run it again")
        if not sweep.finished:
            raise CommandError("stopped; the next run decides the rest", returncode=_STOPPED)

    def _report(self, chunk: SweptChunk) -> None:
        """A line for each, as they come; a failure goes to standard error, and the others go on."""
        keys = _keys([one.experiment_id for one in chunk.experiments])
        for one in chunk.experiments:
            out = self.stderr if one.error else self.stdout
            out.write(f"{keys.get(one.experiment_id, '?')} (experiment {one.experiment_id}): {one.words}")
        if chunk.unchanged:
            self.stdout.write(f"{chunk.unchanged} experiments have nothing new")


def _keys(experiment_ids: Sequence[int]) -> dict[int, str]:
    """People know experiments by their keys; one that was deleted meanwhile has none."""
    return dict(Experiment.objects.filter(pk__in=experiment_ids).values_list("pk", "key"))


def _experiment_id(reference: str) -> int:
    try:
        return find_experiment(reference).pk
    except ExperimentNotFoundError as error:
        raise CommandError(str(error)) from error
