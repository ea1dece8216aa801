"""A cache in Redis for what all servers count together.

Once it is lost nothing is refused: a limit is worth less than the service.
"""

import time
from typing import Any

from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

from experiments.events import log_problem_event

_QUIET_SECONDS = 60.0


class SharedCache(RedisCache):
    """A Redis that may be lost: then it holds nothing and keeps nothing, and the log says so once a minute."""

    _said_at = float("-inf")

    def add(self, *args: Any, **kwargs: Any) -> bool:
        return bool(self._or(False, super().add, args, kwargs))

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return self._or(default, super().get, (key, default, version), {})

    def set(self, *args: Any, **kwargs: Any) -> None:
        self._or(None, super().set, args, kwargs)

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        found = self._or(None, super().incr, (key, delta, version), {})
        if found is None:
            raise ValueError(f"{key!r} is not there")
        return int(found)

    def _or(self, otherwise: Any, method: Any, args: Any, kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except RedisError as error:
            now = time.monotonic()
            if now - SharedCache._said_at > _QUIET_SECONDS:
                SharedCache._said_at = now
                log_problem_event("redis.lost", problem=" ".join(str(error).split()))
            return otherwise
