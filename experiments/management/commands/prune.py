from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from experiments.csv_uploads import prune_uploads
from experiments.idempotency import prune_idempotent_answers


class Command(BaseCommand):
    help = (
        "Delete what is no longer needed: answers kept for an Idempotency-Key longer than a day, "
        "and uploads that were never recorded."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        answers, uploads = prune_idempotent_answers(now=now), prune_uploads(now=now)
        self.stdout.write(f"Deleted {answers} idempotent answers and {uploads} uploads.")
