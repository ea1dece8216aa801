"""gunicorn's configuration, from the environment. gunicorn reads this file when it is started in this folder.

docs/configuration.md lists the variables. The workers keep their counters in files of one folder, so that every worker
answers the same for /metrics. The folder is set before a worker imports prometheus-client, and is emptied at the start:
otherwise the counts of the last run would stay.
"""

import gc
import logging
import os
import resource
import shutil
import tempfile
from pathlib import Path
from typing import Any

from bandit_project.ops.logs import logging_config

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
    """The cores that this process may use: a container's limit, not those of its machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path(limit_file).read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, round(int(quota) / int(period))))


bind = f"{os.environ.get('BIND_ADDRESS', '0.0.0.0')}:{_whole('PORT', 8000)}"  # noqa: S104  (a container's own network)
workers = _whole("WEB_CONCURRENCY", usable_cores())
# Our own worker receives requests whole before a thread takes them, with one thread too: otherwise a few slow clients
# would occupy all threads.
# A write waits for the disk most of its time: with 8 threads twice as many do so at once as with 4, at no cost of CPU.
threads = _whole("WEB_THREADS", 8)
worker_class = "bandit_project.server.worker.BufferingWorker"
# Connections of a worker. Each is an open file, so the limit of open files is raised too: it is often 1,024.
worker_connections = 1000
_most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (_most, _most))
# The application is loaded once, before the workers: four of them share its memory, and one that is replaced begins at
# once. New code takes a restart, as SIGHUP would go on with the old.
preload_app = True
timeout = _whole("WEB_TIMEOUT", 60)
graceful_timeout = _whole("WEB_GRACEFUL_TIMEOUT", 30)
keepalive = 5
# A worker is replaced before a leak can matter; the jitter keeps them from being replaced all at once.
max_requests = 100_000
max_requests_jitter = 10_000
# Addresses whose X-Forwarded-Proto gunicorn trusts. For Django, PROXY_COUNT decides.
forwarded_allow_ips = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")
# None of our proxies says where the service is mounted; a caller who does gets a 500 of gunicorn's.
forwarder_headers = ""
# In memory: on a slow disk a worker would look as if it hung, and the disk may be read-only.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
# Its own lines as the service's: JSON, but in development.
_IN_DEBUG = os.environ.get("DEBUG", "").strip().lower() in ("true", "1", "yes", "on")
logconfig_dict = logging_config(logging.getLevelName(logging.INFO), json=not _IN_DEBUG)
# The socket is unused here, and would be made in the home directory, which a container may not write to.
control_socket_disable = True


def on_starting(server: Any) -> None:
    _FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in _FOLDER.glob("*.db"):
        file.unlink()


def when_ready(server: Any) -> None:
    # What is loaded stays: a collection that touched it would copy it into each worker.
    gc.collect()
    gc.freeze()


def pre_fork(server: Any, worker: Any) -> None:
    from django.db import connections

    # Two processes on one connection would read each other's answers.
    connections.close_all()


def on_exit(server: Any) -> None:
    if _OURS:
        shutil.rmtree(_FOLDER, ignore_errors=True)


def child_exit(server: Any, worker: Any) -> None:
    from prometheus_client.multiprocess import mark_process_dead

    # Remove the gauges of a worker that has ended.
    mark_process_dead(worker.pid)
