"""A cache in Redis for what all servers count together.

Once it is lost nothing is refused: a limit is worth less than the service. Values are JSON, not pickles: what can write
to the Redis could run any code here by a pickle.
"""

import json
import time
from typing import Any

from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

from experiments.events import log_problem_event

# One that does not answer takes a second of each call: it is not asked again for so long.
_AWAY_SECONDS, _QUIET_SECONDS = 5.0, 60.0


class Json:
    """Writes values as JSON; whole numbers as they are, so that Redis can count."""

    def dumps(self, value: Any) -> int | str:
        return value if type(value) is int else json.dumps(value)

    def loads(self, data: Any) -> Any:
        return json.loads(data)


class SharedCache(RedisCache):
    """A Redis that may be lost: then it holds nothing and keeps nothing, and the log says so once a minute."""

    _away_until, _said_at = float("-inf"), float("-inf")

    def __init__(self, server: Any, params: dict[str, Any]) -> None:
        options = {**params.get("OPTIONS", {}), "serializer": Json}
        super().__init__(server, {**params, "OPTIONS": options})

    def add(self, *args: Any, **kwargs: Any) -> bool:
        return bool(self._or(False, super().add, args, kwargs))

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        try:
            return self._or(default, super().get, (key, default, version), {})
        except ValueError:  # no JSON: another wrote it
            return default

    def set(self, *args: Any, **kwargs: Any) -> None:
        self._or(None, super().set, args, kwargs)

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        found = self._or(None, super().incr, (key, delta, version), {})
        if found is None:
            raise ValueError(f"{key!r} is not there")
        return int(found)

    def _or(self, otherwise: Any, method: Any, args: Any, kwargs: Any) -> Any:
        if time.monotonic() < SharedCache._away_until:
            return otherwise
        try:
            return method(*args, **kwargs)
        except RedisError as error:
            now = time.monotonic()
            SharedCache._away_until = now + _AWAY_SECONDS
            if now - SharedCache._said_at > _QUIET_SECONDS:
                SharedCache._said_at = now
                log_problem_event("redis.lost", problem=" ".join(str(error).split()))
            return otherwise
