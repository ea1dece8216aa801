"""Results of tasks in the broker's Redis, looked up when they are wanted (experiments/workers.py).

Celery's own class listens for them beside. Once that connection is lost for long, its process can send nothing more
until it is restarted: the scheduler would be lost with its broker.
"""

from typing import Any

from celery.backends.redis import RedisBackend


class Results(RedisBackend):  # type: ignore[misc]  # celery has no types
    """Results that nobody listens for."""

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Leave out the subscription."""
