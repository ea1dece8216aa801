from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from bandit_project.administration.weekly import send_weekly_summaries


class Command(BaseCommand):
    help = (
        "Send the weekly summaries that are due, each once, on Monday morning in its reader's time zone. "
        "Run it every half hour, or the scheduler."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"Sent {send_weekly_summaries(timezone.now())}.")
