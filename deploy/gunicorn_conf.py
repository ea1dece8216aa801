"""How gunicorn serves, from the environment. README.md lists the variables."""

import importlib.util
import os
from pathlib import Path
from typing import Any


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
# One thread (sync) suits a proxy that buffers slow clients, as deploy/nginx does. Facing clients itself, a worker
# needs threads, or a few slow ones take it all.
threads = _whole("WEB_THREADS", 4)
worker_class = "gthread" if threads > 1 else "sync"
timeout = _whole("WEB_TIMEOUT", 60)
graceful_timeout = _whole("WEB_GRACEFUL_TIMEOUT", 30)
keepalive = 5
# A worker retires before anything it leaks can matter, and not all of them at once.
max_requests = 10_000
max_requests_jitter = 1_000
# Whose X-Forwarded-Proto gunicorn itself believes. What Django believes is PROXY_COUNT's business.
forwarded_allow_ips = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")
# In memory, so that a slow disk is not taken for a worker that hangs; it also works on a read-only disk.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
# Would be made in the home directory, which a container may not write to, and nothing here uses it.
control_socket_disable = True


def child_exit(server: Any, worker: Any) -> None:
    """A worker that is gone no longer counts in the gauges of /metrics."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR") and importlib.util.find_spec("prometheus_client"):
        importlib.import_module("prometheus_client.multiprocess").mark_process_dead(worker.pid)
