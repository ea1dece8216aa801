import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.utils import timezone
from tqdm import tqdm

from allocation.demo import DEMO, seed_demo
from experiments.management.plain import PlainCommand
from experiments.models import Experiment
from experiments.selectors import today

_USER, _PASSWORD = "demo", "demo-only"


class Command(PlainCommand):
    help = "Fill an empty installation with experiments in every state and months of history."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--seed", type=int, default=20250814, help="Of the random numbers.")

    def handle(self, *args: Any, **options: Any) -> None:
        if Experiment.objects.exists():
            self.stdout.write("There are experiments already; no demo data was added.")
        else:
            self._seed(options["seed"])
        if settings.DEBUG:
            self._make_user()

    def _seed(self, seed: int) -> None:
        days = max(demo.days for demo in DEMO)
        with tqdm(total=days, unit="day", file=sys.stderr, disable=None, leave=False) as bar:
            experiments = seed_demo(
                today=today(), now=timezone.now(), seed=seed, progress=lambda: bar.update()
            )
        self.stdout.write(f"Added {len(experiments)} experiments with up to {days} days of history.")

    def _make_user(self) -> None:
        users = get_user_model().objects
        if not users.filter(username=_USER).exists():
            users.create_superuser(_USER, password=_PASSWORD)
        self.stdout.write(f"Admin user {_USER!r}, password {_PASSWORD!r} (DEBUG only).")
