import datetime as dt
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from allocation.announcements import announce_sweep
from allocation.models import Allocation
from allocation.services import Outcome, compute_all, compute_allocations
from experiments.exceptions import ExperimentNotFoundError
from experiments.ingestion.validation import EARLIEST_DATE
from experiments.selectors import find_experiment, today


def _date(text: str) -> dt.date:
    try:
        date = dt.date.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a date such as 2025-08-14") from error
    if not EARLIEST_DATE <= date <= today() + dt.timedelta(days=1):
        raise ArgumentTypeError(f"{text} is not between {EARLIEST_DATE} and tomorrow")
    return date


class Command(BaseCommand):
    help = "Compute and record allocations, of one experiment or of all active ones (the default)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--experiment", help="Its id or key.")
        which.add_argument("--all", action="store_true", help="Every active experiment.")
        parser.add_argument("--date", type=_date, help="The target date (default: today).")

    def handle(self, *args: Any, **options: Any) -> None:
        target_date, now = options["date"] or today(), timezone.now()
        if options["experiment"]:
            computed = self._report(
                compute_allocations(
                    experiment_ids=[_experiment_id(options["experiment"])], target_date=target_date, now=now
                )
            )
        else:
            computed = self._report(compute_all(target_date=target_date, now=now))
            announce_sweep(target_date, now)
        failed = computed.count(False)
        self.stdout.write(f"{len(computed) - failed} computed for {target_date}, {failed} failed.")

    def _report(self, outcomes: Iterable[Outcome]) -> list[bool]:
        """A line each, as they come; whether each was computed."""
        computed = []
        for outcome in outcomes:
            self._log(outcome)
            computed.append(outcome.allocation is not None)
        return computed

    def _log(self, outcome: Outcome) -> None:
        """A failure goes to standard error, and the others go on."""
        if outcome.allocation is None:
            self.stderr.write(f"experiment {outcome.experiment_id}: {outcome.error}")
        else:
            self.stdout.write(f"experiment {outcome.experiment_id}: {_line(outcome.allocation)}")


def _line(allocation: Allocation) -> str:
    shares = allocation.shares.select_related("variant").order_by("variant_id")
    split = ", ".join(f"{share.variant.name} {share.share}" for share in shares)
    return f"{split} (revision {allocation.revision}: {allocation.reason})"


def _experiment_id(reference: str) -> int:
    try:
        return find_experiment(reference).pk
    except ExperimentNotFoundError as error:
        raise CommandError(str(error)) from error
