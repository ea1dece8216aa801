from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from experiments.idempotency import prune_idempotent_answers


class Command(BaseCommand):
    help = "Delete what is no longer needed: answers kept for an Idempotency-Key longer than a day."

    def handle(self, *args: Any, **options: Any) -> None:
        deleted = prune_idempotent_answers(now=timezone.now())
        self.stdout.write(f"Deleted {deleted} idempotent answers.")
