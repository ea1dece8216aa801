from typing import Any

from django.core.management.base import BaseCommand

from notifications.delivery import deliver_waiting


class Command(BaseCommand):
    help = (
        "Deliver the notifications that are due: webhooks and mails. Run it every minute, or the scheduler."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        done = deliver_waiting()
        if done is None:
            self.stdout.write("Another process is delivering.")
        else:
            self.stdout.write(f"Delivered {done.delivered}, failed {done.failed}.")
