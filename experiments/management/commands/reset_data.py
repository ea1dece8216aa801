from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from experiments.management.plain import PlainCommand
from experiments.services import reset_data


class Command(PlainCommand):
    help = "Delete every experiment with its variants, metrics and allocations."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--yes", action="store_true", help="Do not ask.")
        parser.add_argument("--force", action="store_true", help="Allow it outside DEBUG.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not (settings.DEBUG or options["force"]):
            raise CommandError("This is not a development installation. Add --force if you mean it.")
        if not options["yes"] and not _confirmed():
            raise CommandError("Nothing was deleted. Where nobody can be asked, add --yes.")
        experiments = reset_data(allowed=True).get("experiments.Experiment", 0)
        self.stdout.write(f"Deleted {experiments} experiment{'s' * (experiments != 1)} with all data.")


def _confirmed() -> bool:
    try:
        return input("Delete all experiments and their data? Type yes: ") == "yes"
    except EOFError:
        return False
