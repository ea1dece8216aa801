from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from allocation.campaigns.schedule import complete_decided, follow_schedules
from experiments.selectors import today


class Command(BaseCommand):
    help = (
        "Start and end the experiments whose time has come, and complete those that are to be once decided."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        moved = follow_schedules(now=now)
        completed = complete_decided(target_date=today(), now=now)
        self.stdout.write(f"{moved} started or ended, {completed} completed.")
