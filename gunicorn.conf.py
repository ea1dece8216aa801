"""How gunicorn serves, from the environment; it reads this file by itself when started here.

docs/configuration.md lists the variables. The workers' counters are files of one folder, so that /metrics says the same
whichever worker is asked. The folder is named before any worker imports the library that writes there, and starts
empty: else the last run's counts stay.
"""

import os
import resource
import shutil
import tempfile
from pathlib import Path
from typing import Any

_OURS = "PROMETHEUS_MULTIPROC_DIR" not in os.environ
if _OURS:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="bandit-metrics-")
_FOLDER = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])


def _whole(variable: str, default: int) -> int:
    value = os.environ.get(variable, "").strip()
    if value and not value.isdecimal():
        raise SystemExit(f"{variable} is {value!r}. It must be a whole number, such as {default}.")
    return int(value or default)


def usable_cores(limit_file: str = "/sys/fs/cgroup/cpu.max") -> int:
    """What this process may use: a container's limit counts, not the machine it runs on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path(limit_file).read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, round(int(quota) / int(period))))


bind = f"{os.environ.get('BIND_ADDRESS', '0.0.0.0')}:{_whole('PORT', 8000)}"  # noqa: S104  (a container's own network)
workers = _whole("WEB_CONCURRENCY", usable_cores())
# One thread (sync) suits a proxy that buffers slow clients, as deploy/nginx does. Facing clients itself, a worker of
# ours receives requests whole before a thread takes them, or a few slow clients took all threads.
threads = _whole("WEB_THREADS", 4)
worker_class = "bandit_project.server.worker.BufferingWorker" if threads > 1 else "sync"
# A worker serves up to this many connections, each a file to the system, whose usual limit is hardly more.
worker_connections = 1000
_most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (_most, _most))
timeout = _whole("WEB_TIMEOUT", 60)
graceful_timeout = _whole("WEB_GRACEFUL_TIMEOUT", 30)
keepalive = 5
# A worker retires before anything it leaks can matter, and not all of them at once.
max_requests = 100_000
max_requests_jitter = 10_000
# Whose X-Forwarded-Proto gunicorn itself believes. What Django believes is PROXY_COUNT's business.
forwarded_allow_ips = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")
# In memory, so that a slow disk is not taken for a worker that hangs; it also works on a read-only disk.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
# Would be made in the home directory, which a container may not write to, and nothing here uses it.
control_socket_disable = True


def on_starting(server: Any) -> None:
    _FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in _FOLDER.glob("*.db"):
        file.unlink()


def on_exit(server: Any) -> None:
    if _OURS:
        shutil.rmtree(_FOLDER, ignore_errors=True)


def child_exit(server: Any, worker: Any) -> None:
    from prometheus_client.multiprocess import mark_process_dead

    # a worker that is gone no longer counts in the gauges
    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]  # the library's
