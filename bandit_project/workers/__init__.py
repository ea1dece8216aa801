"""Workers on other processes and machines: `celery --app bandit_project.workers worker`, with the extra [celery].

Only a process that has CELERY_BROKER_URL imports this. A message is acknowledged once its task has ended: that of a
worker which is killed goes to another, at once where one of its processes dies, some ten seconds after
WORKER_RETRY_SECONDS where all of it does. A worker takes one message for each of its processes and no more ahead, so
that none waits beside an idle one.

Queue and questions to workers have the name of the code: a worker that an upgrade has left with the code before gets
nothing of a scheduler that has the new one, and is none of the workers that answer it.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bandit_project.settings")

from django.conf import settings

from bandit_project import __version__

# Where the list of tasks is, and the functions that they call.
_CODE = ("bandit_project/workers", "allocation", "experiments", "notifications")
# A broker that takes connections and is silent would otherwise block the scheduler and all its jobs.
_ANSWER_SECONDS = 5


def files_of_code() -> list[Path]:
    """List the files by which a worker knows whether a scheduler has its code."""
    return sorted(path for folder in _CODE for path in (settings.BASE_DIR / folder).rglob("*.py"))


def _name_of_code() -> str:
    """Name the version and what its files hold: between two releases the number stays."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files_of_code()))
    return f"bandit-{__version__}-{digest.hexdigest()[:8]}"


QUEUE = _name_of_code()
app = Celery(
    "bandit",
    broker=settings.CELERY_BROKER_URL,
    backend=f"bandit_project.workers.results:Results+{settings.CELERY_BROKER_URL}",
    include=["bandit_project.workers.tasks"],
    set_as_current=True,
)
app.conf.update(
    accept_content=["json"],
    broker_connection_retry_on_startup=True,
    control_exchange=QUEUE,
    broker_transport_options={
        "visibility_timeout": settings.WORKER_RETRY_SECONDS,
        # looked for every ten seconds, not every hundred
        "unacked_restore_throttle": 1,
        "socket_connect_timeout": _ANSWER_SECONDS,
        "socket_timeout": _ANSWER_SECONDS,
    },
    redis_socket_connect_timeout=_ANSWER_SECONDS,
    redis_socket_timeout=_ANSWER_SECONDS,
    result_expires=24 * 3600,
    task_acks_late=True,
    task_default_queue=QUEUE,
    task_reject_on_worker_lost=True,
    timezone="UTC",
    worker_prefetch_multiplier=1,
)
app.set_default()


def _log_as_django(**kwargs: Any) -> None:
    """Leave the log as the settings have it: Celery would set up its own."""


setup_logging.connect(_log_as_django)
