"""The client: assigns units to variants, and counts what comes of it."""

import atexit
import datetime as dt
import logging
import os
import threading
import time
import weakref
from decimal import Decimal
from pathlib import Path

from bandit_client.arguments import check_above_zero, check_unit, handed_over
from bandit_client.counting import Counter
from bandit_client.periodic import Periodic
from bandit_client.rows import Exposure, amount
from bandit_client.rules_source import RulesSource
from bandit_client.ruleset import Rules
from bandit_client.service import Service
from bandit_client.spool import Place, Spool
from bandit_client.stream import Stream

_log = logging.getLogger("bandit_client")
_RULES_COPY = "ruleset.json"
_clients: "weakref.WeakSet[Client]" = weakref.WeakSet()


class Client:
    """One for each process, used by all of its threads. It may be made before a fork.

    ``spool_dir``: a folder for counts that could not be sent yet and for the last rule set; several processes may share
    it. ``durable``: every event is on disk before its call returns, so that a killed process loses none; else it
    loses at most what happened since the last flush.
    """

    def __init__(
        self,
        url: str,
        api_key: str = "",
        *,
        spool_dir: str | os.PathLike[str] | None = None,
        durable: bool = False,
        flush_interval: float = 5.0,
        poll_interval: float = 30.0,
        timeout: float = 5.0,
        max_units: int = 100_000,
    ) -> None:
        if durable and spool_dir is None:
            raise ValueError("durable=True needs a spool_dir to write events to")
        check_above_zero(
            flush_interval=flush_interval, poll_interval=poll_interval, timeout=timeout, max_units=max_units
        )
        self._service = Service(url, api_key, timeout)
        self._spool = Spool(Path(spool_dir)) if spool_dir is not None else None
        self._durable, self._flush_interval, self._poll_interval = durable, flush_interval, poll_interval
        self._counter = Counter(max_units)
        self._rules = RulesSource(self._service, self._spool.root / _RULES_COPY if self._spool else None)
        self._day, self._day_ends = "", 0.0
        self._place: Place | None = None
        self._closed = False
        self._begin()
        _clients.add(self)
        atexit.register(self.close)

    def _begin(self) -> None:
        """Set up what belongs to this process alone."""
        self._start_lock, self._delivery = threading.Lock(), threading.Lock()
        self._threads: list[Periodic] = []
        self._place = self._spool.new_place() if self._spool else None
        self._stream = Stream(self._place.folder if self._place else None)
        self._counter.swap(self._next_segment())

    def _next_segment(self) -> Path | None:
        return self._stream.next_segment() if self._durable else None

    # Assignment

    def get_variant(self, experiment: str, unit: str, default: str = "control") -> str:
        """The key of the variant that ``unit`` sees; ``default`` for an experiment that is not in the rule set.

        It asks no server. Counting that the unit saw it is up to ``exposure``. Like all that take a unit it raises
        ValueError for an empty one.
        """
        check_unit(unit)
        rules = self.rules_of(experiment)
        return rules.race.winner(unit) if rules else default

    def rules_of(self, experiment: str) -> Rules | None:
        """The rules of an experiment; None where it is not live."""
        if not self._threads:
            self._start()
        return self._rules.current.experiments.get(experiment)

    def experiments(self) -> list[str]:
        """The keys of all live experiments."""
        return list(self._rules.current.experiments)

    def is_today(self, day: str) -> bool:
        """Whether events of now count on ``day``."""
        return day == self._today()

    def wait_until_ready(self, timeout: float | None = None) -> bool:
        """Wait for the first rule set; False if it did not come in time."""
        self._start()
        return self._rules.ready.wait(timeout)

    # Counting

    def exposure(self, experiment: str, unit: str) -> Exposure | None:
        """Count that the unit sees its variant: the first time on each day. None: the experiment is not live.

        The answer says which variant it saw, and the day. Keep it (in a session or cookie) where another process may
        count the click.
        """
        check_unit(unit)
        rules = self.rules_of(experiment)
        if rules is None:
            return None
        day = self._today()
        with self._counter.lock:
            return self._counter.expose(rules, unit, day)

    def click(self, experiment: str, unit: str, exposure: Exposure | None = None) -> bool:
        """Count the unit's first click after its exposure, on the day of that. True if it was counted.

        Without ``exposure`` it is the one that this process remembers; a unit that has none is not counted.
        """
        check_unit(unit)
        given = handed_over(experiment, exposure) if exposure else None
        with self._counter.lock:
            seen = given or self._counter.exposure_of(experiment, unit)
            return seen is not None and self._takes(experiment) and self._counter.click(seen, unit)

    def conversion(
        self,
        experiment: str,
        unit: str,
        value: int | float | str | Decimal | None = None,
        exposure: Exposure | None = None,
    ) -> bool:
        """Count the unit's first conversion after its exposure, with its value. True if it was counted."""
        check_unit(unit)
        text = None if value is None else amount(value)
        given = handed_over(experiment, exposure) if exposure else None
        with self._counter.lock:
            seen = given or self._counter.exposure_of(experiment, unit)
            return seen is not None and self._takes(experiment) and self._counter.convert(seen, unit, text)

    def _takes(self, experiment: str) -> bool:
        """Whether the service takes counts of the experiment; true while nobody knows."""
        rules = self.rules_of(experiment)
        return rules.counts if rules else not self._rules.ready.is_set()

    def _today(self) -> str:
        """Return the day in the service's time zone, computed once a minute: this runs for every event."""
        now = time.time()
        if now >= self._day_ends or now < self._day_ends - 120:
            self._day = dt.datetime.fromtimestamp(now, self._rules.current.time_zone).date().isoformat()
            self._day_ends = now - now % 60 + 60
        return self._day

    # Sending

    def flush(self) -> None:
        """Send what was counted, unless the service asked to wait. The background thread does it every few seconds."""
        with self._delivery:
            self._collect()
            self._stream.deliver(self._service, _utc_today())

    def _collect(self) -> None:
        with self._counter.lock:
            if not self._counter.size:
                return
            rows, segment = self._counter.swap(self._next_segment())
        self._stream.add(rows, segment)

    def _flush_all(self) -> None:
        self.flush()
        for place, stream in self._spool.orphans() if self._spool else ():
            try:
                if not self._stream.is_paused:
                    stream.deliver(self._service, _utc_today())
                if stream.is_empty:
                    stream.remove()
            finally:
                place.release()
            if stream.is_paused or self._stream.is_paused:
                return

    @property
    def pending(self) -> int:
        """How many impressions, clicks and conversions of this process wait to be sent, or for an answer."""
        with self._delivery, self._counter.lock:
            return self._counter.size + self._stream.size

    def close(self) -> None:
        """Send what is left and stop. What cannot be sent stays in ``spool_dir`` for the next process."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        for thread in self._threads:
            thread.end()
        self._stream.hurry()
        self.flush()
        self._send_last()
        self._leave()

    def _send_last(self) -> None:
        """Send what other threads counted while the rest was sent; what they count from now on is lost."""
        with self._delivery:
            with self._counter.lock:
                rows, segment = self._counter.swap(None)
            if rows:
                self._stream.add(rows, segment)
                self._stream.deliver(self._service, _utc_today())

    def _leave(self) -> None:
        if not self._stream.is_empty:
            where = f"stay in {self._spool.root}" if self._spool else "are lost: there is no spool_dir"
            _log.warning("bandit: counts that could not be sent %s", where)
        elif self._place:
            self._stream.remove()
        if self._place:
            self._place.release()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # Threads and forks

    def _start(self) -> None:
        """Start the threads of this process at its first call: those of a parent do not survive a fork."""
        with self._start_lock:
            if not self._threads and not self._closed:
                self._threads = [
                    Periodic("bandit-rules", self._poll_interval, self._rules.refresh, at_once=True),
                    Periodic("bandit-counts", self._flush_interval, self._flush_all, at_once=False),
                ]

    def _after_fork_in_child(self) -> None:
        """Leave to the parent what is the parent's: its counts, its folder, its journal."""
        self._counter.forget_counts()
        self._rules.after_fork()
        if self._place:
            self._place.release()
        if not self._closed:
            self._begin()


def _utc_today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


_forking: list[Client] = []


def _before_fork() -> None:
    """Let no event be half counted in the child."""
    _forking.extend(_clients)
    for client in _forking:
        client._counter.lock.acquire()


def _after_fork_in_parent() -> None:
    while _forking:
        _forking.pop()._counter.lock.release()


def _after_fork_in_child() -> None:
    while _forking:
        _forking.pop()._after_fork_in_child()


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
)
