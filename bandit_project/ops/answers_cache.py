"""The cache of answers: each is kept as the object that it is, in the memory of this process.

Django's own cache in memory copies each value by pickle, twice for each answer of 600 kB, and looks at each character
of a key for what memcached would refuse. Here a caller gets the value that was kept itself: it must not be changed.
"""

from collections import OrderedDict
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.locmem import LocMemCache


class AnswersCache(LocMemCache):
    """Keeps bytes, numbers and tuples of them; it counts nothing up."""

    # Django's own, missing from the stubs.
    _cache: OrderedDict[str, Any]
    _lock: Any
    _has_expired: Any
    _delete: Any
    _set: Any

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        made = self.make_key(key, version=version)
        with self._lock:
            if self._has_expired(made):
                self._delete(made)
                return default
            self._cache.move_to_end(made, last=False)
            return self._cache[made]

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        made = self.make_key(key, version=version)
        with self._lock:
            self._set(made, value, timeout)

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        made = self.make_key(key, version=version)
        with self._lock:
            if not self._has_expired(made):
                return False
            self._set(made, value, timeout)
        return True

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        raise NotImplementedError("answers are no counters")
