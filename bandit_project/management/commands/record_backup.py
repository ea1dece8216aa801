from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from bandit_project.models import Heartbeat
from bandit_project.ops.heartbeats import record_heartbeat


class Command(BaseCommand):
    help = "Write down that a backup has just been made, for bandit_backup_age_seconds and its alert."

    def handle(self, *args: Any, **options: Any) -> None:
        record_heartbeat(Heartbeat.Job.BACKUP, timezone.now())
