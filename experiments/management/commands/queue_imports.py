from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from experiments.exceptions import ExperimentNotFoundError, InvalidError
from experiments.management.choices import add_choices, chosen_options
from experiments.models import CsvUpload, Experiment
from experiments.selectors import find_experiment
from experiments.tables.uploads import MAX_UPLOAD_BYTES, keep_upload
from experiments.tables.waiting import OWNER, TASK, question_of
from experiments.workers import Done, NoWorkersError, ask_workers, has_workers


class Command(BaseCommand):
    help = (
        "Let workers record files of an experiment, each all or nothing and once; import_events does it here."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", type=Path, nargs="+", help="CSV or another text table, or .xlsx.")
        parser.add_argument("--experiment", required=True, help="Its id or key; rows of others are left out.")
        add_choices(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if not has_workers():
            raise CommandError("CELERY_BROKER_URL is not set, so there are no workers. Use import_events.")
        try:
            experiment = find_experiment(options["experiment"])
        except ExperimentNotFoundError as error:
            raise CommandError(str(error)) from error
        kept = [_keep(path, experiment) for path in options["files"]]
        choices = chosen_options(options)
        try:
            done = ask_workers(TASK, [question_of(upload, choices) for upload in kept])
            loaded = [self._tell(kept[one.place].name, one) for one in done]
        except NoWorkersError as error:
            raise CommandError(
                f"{error}. The files wait for an hour, and are recorded if a worker comes."
            ) from error
        if not all(loaded):
            raise CommandError("Some files were not recorded.")

    def _tell(self, name: str, done: Done) -> bool:
        """Say what came of a file, and whether it was recorded."""
        if done.problem or done.result.get("gone"):
            self.stderr.write(f"{name}: {done.problem or 'was recorded before, or has waited for too long'}")
            return not done.problem
        for issue in done.result["issues"]:
            self.stderr.write(f"{name}: {issue}")
        if done.result["processed"]:
            self.stdout.write(f"{name}: {done.result['processed']} of {done.result['total']} rows.")
            # a worker of an earlier version gives none
            for fact in done.result.get("facts", ()):
                self.stdout.write(f"{name}: {fact}")
        return bool(done.result["processed"])


def _keep(path: Path, experiment: Experiment) -> CsvUpload:
    try:
        content = path.read_bytes()
        if len(content) > MAX_UPLOAD_BYTES:
            raise CommandError(f"{path} is larger than {MAX_UPLOAD_BYTES:,} bytes. Use import_events.")
        return keep_upload(
            experiment=experiment, owner=OWNER, name=path.name, content=content, now=timezone.now()
        )
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    except InvalidError as error:
        raise CommandError(f"{path}: {error}") from error
