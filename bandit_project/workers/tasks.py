"""The tasks of workers, by name: each is a function of the project that takes and gives JSON."""

from typing import Any

from celery.signals import heartbeat_sent

from allocation.lab.spread import play_policy
from allocation.sweep.spread import sweep_ids
from bandit_project.ops.heartbeats import touch_file
from bandit_project.workers import app
from experiments.tables.waiting import record_waiting

for name, function in {"backtest": play_policy, "import": record_waiting, "sweep": sweep_ids}.items():
    app.task(function, name=name)


def _go_on(**kwargs: Any) -> None:
    """Say every other second that this worker goes on, for a container's health check."""
    touch_file()


heartbeat_sent.connect(_go_on)
