"""Health check of the container, for images without curl: exits with 0 when the service, or the scheduler, is well.

python deploy/healthcheck.py              /health answers 200
python deploy/healthcheck.py scheduler    it has touched SCHEDULER_HEARTBEAT lately
"""

import os
import sys
import time
import urllib.error
import urllib.request

_SECONDS = 5
# The scheduler's pause is a minute, and no single step of a round takes another.
_SILENT_SECONDS = 180


def check_service() -> None:
    address = f"http://127.0.0.1:{os.environ.get('PORT') or 8000}/health"
    try:
        with urllib.request.urlopen(address, timeout=_SECONDS) as answer:
            print(answer.read().decode())
    except urllib.error.HTTPError as error:
        sys.exit(f"{error.code} {error.read().decode()}")
    except OSError as error:
        sys.exit(str(error))


def check_scheduler() -> None:
    file = os.environ.get("SCHEDULER_HEARTBEAT", "")
    try:
        silent = time.time() - os.stat(file).st_mtime
    except OSError as error:
        sys.exit(f"SCHEDULER_HEARTBEAT: {error}")
    if silent > _SILENT_SECONDS:
        sys.exit(f"The scheduler has been silent for {silent:.0f} seconds.")
    print(f"The scheduler went on {silent:.0f} seconds ago.")


if sys.argv[1:] == ["scheduler"]:
    check_scheduler()
else:
    check_service()
