"""The cache that all servers share, without a Redis that answers."""

import pytest

from bandit_project.ops.shared_cache import SharedCache


def test_shared_cache__redis_is_away__holds_nothing_and_fails_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    SharedCache._said_at = float("-inf")
    cache = SharedCache("redis://127.0.0.1:1/0", {"OPTIONS": {"socket_connect_timeout": 1}})

    cache.set("key", 1)
    found = cache.get("key", "nothing"), cache.add("key", 0, 60)
    with pytest.raises(ValueError, match="is not there"):
        cache.incr("key")

    assert found == ("nothing", False)
    assert len([line for line in caplog.messages if "redis.lost" in line]) == 1
