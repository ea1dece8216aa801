import datetime as dt
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from allocation.ledger.entries import Entry
from allocation.services import Outcome, compute_allocations
from allocation.sweep import run_daily_sweep
from experiments.exceptions import ExperimentNotFoundError
from experiments.ingestion.validation import EARLIEST_DATE
from experiments.management.plain import PlainCommand
from experiments.selectors import find_experiment, today

_DATE_HELP = (
    "The target date (default: today). A date before that of a decision that has split traffic is refused; "
    "a decision for tomorrow is made again with each new one for today."
)


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
        which.add_argument("--experiment", help="Its id or key.")
        which.add_argument("--all", action="store_true", help="Every active experiment.")
        parser.add_argument("--date", type=_date, help=_DATE_HELP)

    def handle(self, *args: Any, **options: Any) -> None:
        target_date, now = options["date"] or today(), timezone.now()
        if options["experiment"]:
            pk = _experiment_id(options["experiment"])
            outcome = compute_allocations(experiment_ids=[pk], target_date=target_date, now=now)[0]
            self._report(outcome)
            computed, failed = int(outcome.error is None), int(outcome.error is not None)
        else:
            sweep = run_daily_sweep(target_date=target_date, now=now, report=self._report)
            computed, failed = sweep.computed, sweep.failed
        self.stdout.write(f"{computed} computed for {target_date}, {failed} failed.")

    def _report(self, outcome: Outcome) -> None:
        """A line for each, as they come; a failure goes to standard error, and the others go on."""
        if outcome.entry is None:
            self.stderr.write(f"experiment {outcome.experiment_id}: {outcome.error}")
        else:
            self.stdout.write(f"experiment {outcome.experiment_id}: {_line(outcome.entry)}")


def _line(entry: Entry) -> str:
    split = ", ".join(f"{share.variant.name} {share.share}" for share in entry.shares)
    return f"{split} (revision {entry.allocation.revision}: {entry.allocation.reason})"


def _experiment_id(reference: str) -> int:
    try:
        return find_experiment(reference).pk
    except ExperimentNotFoundError as error:
        raise CommandError(str(error)) from error
