"""What gunicorn does beside serving; it reads this file by itself when started here.

The workers' counters lie in files of one folder, so that /metrics says the same whichever worker is asked. The folder
is named before any worker imports the library that writes there, and starts empty: else the last run's counts stay.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

_OURS = "PROMETHEUS_MULTIPROC_DIR" not in os.environ
if _OURS:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="bandit-metrics-")
_FOLDER = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])


def on_starting(server: Any) -> None:
    _FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in _FOLDER.glob("*.db"):
        file.unlink()


def on_exit(server: Any) -> None:
    if _OURS:
        shutil.rmtree(_FOLDER, ignore_errors=True)


def child_exit(server: Any, worker: Any) -> None:
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]  # the library's
