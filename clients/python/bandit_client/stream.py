"""Counts on their way to the service: exactly once, in spite of lost answers, restarts and refusals.

A batch gets its key once and is sent with it, unchanged, until the service has answered. Before it is sent for the
first time, it is in the file (where there is one), so that a new process sends the same bytes under the same key. The
service knows a key for a day: a batch that may have been counted, and had no answer for longer, is put aside. All that
is not part of a batch waits in merged rows: however long the service is away, there is one batch and one row for each
variant and day.
"""

import datetime as dt
import json
import logging
import os
import random
import shutil
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bandit_client.journal import read_journal
from bandit_client.rows import (
    MAX_ROWS,
    Rows,
    add_rows,
    body_of,
    day_before,
    event_count,
    from_increments,
    peel,
    rows_of,
    take,
    to_increments,
)
from bandit_client.service import Answer, Service

_log = logging.getLogger("bandit_client")

HOLD_SECONDS = 10.0  # that refused clicks wait before they are tried again
HOLD_DAYS = 14  # after which they are given up: their impressions will not come any more
LONGEST_PAUSE = 60.0
KEY_LIFE = 23 * 3600.0  # the service keeps a key for 24 hours; clocks are not all set alike
_KEY_IN_USE_PAUSE = 1.0
_DISK_PAUSE = 10.0
_REFUSALS = (400, 409, 413, 422)
STATE_FILE = "counts.json"


@dataclass(frozen=True)
class Batch:
    """``since``: the time at which it was sent and may have been counted; None: it certainly was not."""

    key: str
    body: str
    since: float | None = None


class Stream:
    """The counts of one process. ``folder``: where they outlive it; None: nowhere."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._sending: Batch | None = None
        self._waiting: Rows = {}
        self._held: Rows = {}
        self._held_until = 0.0
        self._not_before = 0.0
        self._failures = 0
        self._limit = MAX_ROWS
        self._last_segment = 0
        self._absorbed = 0  # the last journal segment that is in the rows
        self._is_saved = True

    @classmethod
    def recovered(cls, folder: Path) -> "Stream":
        """The counts that a dead process left: its file, and the events that came after it."""
        stream = cls(folder)
        stream._load()
        for path in stream._segments():
            if _number(path) > stream._absorbed:
                stream.add(read_journal(path), path)
        return stream

    def next_segment(self) -> Path | None:
        """The path of a journal segment that follows all others."""
        if self._folder is None:
            return None
        self._last_segment += 1
        return self._folder / f"journal-{self._last_segment:012d}.log"

    def add(self, rows: Rows, segment: Path | None = None) -> None:
        """Take over counts, and the journal segment that holds them."""
        add_rows(self._waiting, rows)
        if segment:
            self._absorbed = _number(segment)
        self._is_saved = self._is_saved and not (rows or segment)

    @property
    def is_empty(self) -> bool:
        return not (self._sending or self._waiting or self._held)

    @property
    def size(self) -> int:
        """The number of events on their way."""
        sent = rows_of(self._sending.body) if self._sending else {}
        return sum(map(event_count, (sent, self._waiting, self._held)))

    @property
    def is_paused(self) -> bool:
        return time.monotonic() < self._not_before

    def deliver(self, service: Service, today: dt.date) -> None:
        """Send what is due until nothing is, or the service cannot take it now."""
        if not self.is_paused:
            self._release_held(today)
            while batch := self._next_batch():
                if not self._settle(batch, service.send_counts(batch.body, batch.key)):
                    break
        self._save()

    def hurry(self) -> None:
        """Try at once what waits: the process is about to end."""
        self._not_before = self._held_until = 0.0

    def _next_batch(self) -> Batch | None:
        if self._sending is not None and _is_forgotten(self._sending) and not self._put_aside(self._sending):
            return None
        if self._sending is None:
            if not self._waiting:
                return None
            self._sending = Batch(str(uuid.uuid4()), body_of(take(self._waiting, self._limit)))
        before = self._sending
        if before.since is None:
            self._sending, self._is_saved = replace(before, since=time.time()), False
        # A batch that is nowhere but here must not be sent: a new process would send its events under another key.
        if self._save():
            return before
        self._sending = before
        return None

    def _put_aside(self, batch: Batch) -> bool:
        """Stop sending a batch that would count twice if it was counted. False: the disk does not take it."""
        if self._folder is not None:
            path = self._folder.parent / f"unsure-{batch.key}.json"
            try:
                write_file(path, batch.body)
            except OSError as error:
                self._wait_for_disk(error)
                return False
        where = f"kept in {path}" if self._folder is not None else f"dropped: {batch.body}"
        _log.error(
            "bandit: a batch was without an answer for a day; it may have been counted, and is %s", where
        )
        self._end_batch()
        return True

    def _release_held(self, today: dt.date) -> None:
        if not self._held or time.monotonic() < self._held_until:
            return
        oldest = day_before(HOLD_DAYS, today)
        if late := [exposure for exposure in self._held if exposure.day < oldest]:
            _log.error("bandit: given up, as their impressions never arrived: %s", late)
        add_rows(self._waiting, {e: row for e, row in self._held.items() if e.day >= oldest})
        self._held = {}

    def _settle(self, batch: Batch, answer: Answer) -> bool:
        """Do what the answer asks for. Only an answer that says so ends a batch. False: go on later."""
        if answer.status == 200:
            self._end_batch()
            self._limit = MAX_ROWS
            return True
        # Without a code it is no answer of the service, but of something between.
        if answer.status in _REFUSALS and answer.code and answer.code != "idempotency_key_in_use":
            self._end_batch()
            self._refused(rows_of(batch.body), answer)
            return True
        if answer.has_written_nothing:
            self._sending, self._is_saved = batch, False
        self._unavailable(answer)
        return False

    def _end_batch(self) -> None:
        self._failures, self._sending, self._is_saved = 0, None, False

    def _unavailable(self, answer: Answer) -> None:
        if answer.code == "idempotency_key_in_use":
            self._pause(_KEY_IN_USE_PAUSE)
            return
        self._failures += 1
        growing = min(2.0 ** min(self._failures, 10), LONGEST_PAUSE) * random.uniform(0.5, 1)  # noqa: S311
        self._pause(max(answer.retry_after or 0, growing))
        if self._failures == 1:
            _log.warning("bandit: counts wait, the service answered %s %s", answer.status, answer.problem)

    def _pause(self, seconds: float) -> None:
        self._not_before = time.monotonic() + seconds

    def _refused(self, rows: Rows, answer: Answer) -> None:
        """Nothing of the batch was written: send its good rows under another key."""
        positions = {n for n in answer.document.get("rows", ()) if isinstance(n, int) and n < len(rows)}
        refused = {exposure: row for n, (exposure, row) in enumerate(rows.items()) if n in positions}
        good = {exposure: row for exposure, row in rows.items() if exposure not in refused}
        if answer.code == "counts_out_of_order" and refused:
            self._hold(refused)
        elif refused:
            _log.error("bandit: dropped, as the service refuses them: %s %s", list(refused), answer.problem)
        else:
            good = self._halved(rows, answer)
        add_rows(self._waiting, good)

    def _hold(self, refused: Rows) -> None:
        for exposure, row in refused.items():
            now, later = peel(row)
            if now:
                add_rows(self._waiting, {exposure: now})
            add_rows(self._held, {exposure: later})
        self._held_until = time.monotonic() + HOLD_SECONDS

    def _halved(self, rows: Rows, answer: Answer) -> Rows:
        """Find a row that the service does not name by halving the batch; alone, it is dropped."""
        if len(rows) > 1:
            self._limit = max(1, len(rows) // 2)
            return rows
        _log.error("bandit: dropped, as the service refuses it: %s %s", list(rows), answer.problem)
        return {}

    def remove(self) -> None:
        """Delete the folder of an empty stream."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _save(self) -> bool:
        """Write the file if anything is new; then the segments in it can go. False: the disk does not take it."""
        if self._folder is None or self._is_saved:
            return True
        try:
            self._write(self._folder / STATE_FILE)
            for path in self._segments():
                if _number(path) <= self._absorbed:
                    path.unlink()
        except OSError as error:
            self._wait_for_disk(error)
            return False
        self._is_saved = True
        return True

    def _wait_for_disk(self, error: OSError) -> None:
        _log.error("bandit: counts cannot be written to %s: %s", self._folder, error)
        self._pause(_DISK_PAUSE)

    def _write(self, path: Path) -> None:
        state = {
            "sending": asdict(self._sending) if self._sending else None,
            "waiting": to_increments(self._waiting),
            "held": to_increments(self._held),
            "absorbed": self._absorbed,
        }
        write_file(path, json.dumps(state))

    def _segments(self) -> list[Path]:
        return sorted(self._folder.glob("journal-*.log")) if self._folder else []

    def _load(self) -> None:
        assert self._folder is not None  # noqa: S101
        path = self._folder / STATE_FILE
        try:
            stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            self._sending = Batch(**stored["sending"]) if stored["sending"] else None
            self._waiting = from_increments(stored["waiting"])
            self._held = from_increments(stored["held"])
            self._absorbed = self._last_segment = stored["absorbed"]
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError) as error:
            _log.error("bandit: %s cannot be read and is put aside: %s", path, error)
            path.replace(path.with_suffix(".broken"))


def _is_forgotten(batch: Batch) -> bool:
    return batch.since is not None and time.time() - batch.since > KEY_LIFE


def _number(segment: Path) -> int:
    return int(segment.stem.removeprefix("journal-"))


def write_file(path: Path, text: str, beside: Path | None = None) -> None:
    """Replace a file as a whole: a crash leaves the old one or the new one.

    It is written ``beside`` first, under a name that no other process writes to.
    """
    beside = beside or path.with_suffix(".new")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink()
        raise
