"""How often something has happened lately, counted in the cache: in each worker, unless the cache is shared."""

from django.core.cache import cache


def count_within(key: str, seconds: int) -> int:
    """Count once more; return how often since the first within so many seconds."""
    cache.add(key, 0, seconds)
    try:
        return int(cache.incr(key))
    except ValueError:  # it ran out between the two calls
        return 1


def counted(key: str) -> int:
    return int(cache.get(key) or 0)
