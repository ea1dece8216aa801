from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from allocation.ledger.verification import verify_ledger
from allocation.models import Allocation


class Command(BaseCommand):
    help = "Compute every recorded allocation again from its recorded inputs, and report what differs."

    def handle(self, *args: Any, **options: Any) -> None:
        checked = older = wrong = 0
        rows = tqdm(verify_ledger(), total=Allocation.objects.count(), unit="row", disable=None, leave=False)
        for verified in rows:
            checked += not verified.is_older
            older += verified.is_older
            wrong += bool(verified.differences)
            for difference in verified.differences:
                self.stdout.write(f"{verified.allocation}: {difference}")
        self.stdout.write(
            f"{checked:,} computed again, {wrong:,} differ, {older:,} are of another engine version."
        )
        if wrong:
            raise CommandError("The ledger does not follow from its inputs; see above.")
