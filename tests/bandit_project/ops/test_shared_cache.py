"""The cache that all servers share: what it writes, and what happens without a Redis that answers."""

import pickle
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import ConnectionError as NotThereError
from redis.retry import Retry

from bandit_project.ops.shared_cache import SharedCache


@pytest.fixture(autouse=True)
def fresh() -> None:
    SharedCache._away_until = SharedCache._said_at = float("-inf")


@pytest.fixture
def redis() -> Iterator[Redis]:
    server = shutil.which("redis-server")
    assert server, "install redis-server, as ./dev test does"
    patient = Retry(ConstantBackoff(0.05), 200, (NotThereError,))
    # the path of a socket has at most 107 characters
    with tempfile.TemporaryDirectory(prefix="bandit-") as folder:
        options = ("--port", "0", "--unixsocket", f"{folder}/redis", "--save", "", "--dir", folder)
        with subprocess.Popen([server, *options], stdout=subprocess.DEVNULL) as process:
            try:
                client = Redis(unix_socket_path=f"{folder}/redis", retry=patient)
                client.ping()
                yield client
            finally:
                process.terminate()


def _cache_in(redis: Redis) -> SharedCache:
    path = redis.connection_pool.connection_kwargs["path"]
    return SharedCache(f"unix://{path}", {"OPTIONS": {}})


def test_shared_cache__what_throttles_keep__is_json_in_redis(redis: Redis) -> None:
    cache = _cache_in(redis)

    cache.set("history", [1764201600.25, 1764201599.5])
    cache.add("count", 0, 60)
    cache.incr("count")

    assert cache.get("history") == [1764201600.25, 1764201599.5]
    assert cache.get("count") == 1
    assert redis.get(":1:history") == b"[1764201600.25, 1764201599.5]"


def test_shared_cache__pickle_that_another_wrote__is_not_opened(redis: Redis, tmp_path: Path) -> None:
    redis.set(":1:history", pickle.dumps(_Attack(str(tmp_path / "run"))))

    assert _cache_in(redis).get("history", []) == []
    assert not (tmp_path / "run").exists()


class _Attack:
    """An object that makes a file where its pickle is opened."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (Path(self.path),)


def test_shared_cache__redis_that_does_not_answer__keeps_one_call_waiting_and_not_the_next() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=10) as silent:
        cache = SharedCache(
            f"redis://127.0.0.1:{silent.getsockname()[1]}/0", {"OPTIONS": {"socket_timeout": 0.2}}
        )

        assert [cache.get("key", n) for n in range(3)] == [0, 1, 2]

        silent.setblocking(False)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()


def test_shared_cache__redis_is_away__holds_nothing_and_fails_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cache = SharedCache("redis://127.0.0.1:1/0", {"OPTIONS": {"socket_connect_timeout": 1}})

    cache.set("key", 1)
    found = cache.get("key", "nothing"), cache.add("key", 0, 60)
    with pytest.raises(ValueError, match="is not there"):
        cache.incr("key")

    assert found == ("nothing", False)
    assert len([line for line in caplog.messages if "redis.lost" in line]) == 1
