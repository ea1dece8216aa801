from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from bandit_project.ops.pruning import prune


class Command(BaseCommand):
    help = "Delete what is no longer needed; docs/operations.md lists what. Run it daily, or the scheduler."

    def handle(self, *args: Any, **options: Any) -> None:
        for what, number in prune(now=timezone.now()).items():
            self.stdout.write(f"Deleted {number} {what}.")
