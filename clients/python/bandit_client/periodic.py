"""A background thread that does one thing every so often."""

import logging
import random
import threading
from collections.abc import Callable

_log = logging.getLogger("bandit_client")


class Periodic:
    """Run ``action`` every ``seconds``, a tenth more or less so that many servers do not call at once."""

    def __init__(self, name: str, seconds: float, action: Callable[[], object], at_once: bool) -> None:
        self._seconds, self._action, self._at_once = seconds, action, at_once
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        if self._at_once:
            self._try()
        while not self._ended.wait(self._seconds * random.uniform(0.9, 1.1)):  # noqa: S311
            self._try()

    def _try(self) -> None:
        try:
            self._action()
        except Exception:
            # A thread that ended would stop counting for good; the next round may succeed.
            _log.exception("bandit: %s failed", self._thread.name)

    def end(self) -> None:
        """Return when the thread has done its last action."""
        self._ended.set()
        if self._thread is not threading.current_thread():
            self._thread.join()
