"""A file in which every event is written before the call that counted it returns.

It is mapped into memory: an event is copied there and needs no call of the operating system, which has the page all the
same when the process is killed. The end of the file, which was reserved and not used, is zeros.
"""

import json
import logging
import mmap
import os
from pathlib import Path

from bandit_client.rows import Exposure, Row, Rows, add_rows

_log = logging.getLogger("bandit_client")
# The first member of a line, and the row that it stands for.
_KINDS = {"i": Row(impressions=1), "c": Row(clicks=1), "v": Row(conversions=1)}
# Reserved at a time: thousands of events, and nothing to a disk. A multiple of every page size.
WINDOW = 256 * 1024
_ZEROS = bytes(WINDOW)


class Journal:
    """One segment. The operating system has each event when ``write`` returns: it outlives the process, not a power
    failure."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None
        self._windows = 0
        self._window: mmap.mmap | None = None
        self._end = 0
        self._is_full = False

    def write(self, line: bytes) -> None:
        """Append a line. A full disk does not stop the caller: the event is then as safe as without a journal."""
        end = self._end + len(line)
        window = self._window
        if window is None or end > WINDOW:
            self._write_across(line)
            return
        window[self._end : end] = line
        self._end = end

    def _write_across(self, line: bytes) -> None:
        """Append what fits, and the rest to the windows that follow."""
        while line and not self._is_full:
            if self._window is None or self._end == WINDOW:
                self._open_window()
                continue
            piece, line = line[: WINDOW - self._end], line[WINDOW - self._end :]
            self._window[self._end : self._end + len(piece)] = piece
            self._end += len(piece)

    def _open_window(self) -> None:
        """Map the next part of the file, which is written first: a page that a full disk refused would end the
        process."""
        try:
            window = self._next_window()
        except OSError as error:
            # Until the next segment, a few seconds later.
            self._is_full = True
            _log.error("bandit: events are not journaled for a while: %s", error)
            return
        self._close_window()
        self._window, self._end, self._windows = window, 0, self._windows + 1

    def _next_window(self) -> mmap.mmap:
        if self._file is None:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        start = self._windows * WINDOW
        if os.pwrite(self._file, _ZEROS, start) < WINDOW:
            raise OSError("the disk is full")
        return mmap.mmap(self._file, WINDOW, offset=start)

    def _close_window(self) -> None:
        if self._window is not None:
            self._window.close()
            self._window = None

    def close(self) -> None:
        self._close_window()
        if self._file is not None:
            os.close(self._file)


def line_head(kind: str, exposure: Exposure) -> bytes:
    """A line up to its value: all events of a kind on one day begin alike."""
    return json.dumps([kind, *exposure]).encode()[:-1]


def read_journal(path: Path) -> Rows:
    """Count the events of a segment. The last line may be torn: the call that wrote it had not returned."""
    rows: Rows = {}
    for line in path.read_bytes().rstrip(b"\0").split(b"\n"):
        if line:
            _count_line(rows, line)
    return rows


def _count_line(rows: Rows, line: bytes) -> None:
    try:
        kind, experiment, variant, day, *values = json.loads(line)
        counted = _KINDS[kind]
    except (ValueError, KeyError, TypeError):
        _log.warning("bandit: a torn line of a journal is left out: %r", line[:80])
        return
    row = Row(counted.impressions, counted.clicks, counted.conversions, values)
    add_rows(rows, {Exposure(experiment, variant, day): row})
