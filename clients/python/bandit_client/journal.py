"""A file in which every event is written before the call that counted it returns."""

import json
import logging
import os
from pathlib import Path

from bandit_client.rows import Exposure, Row, Rows, add_rows

_log = logging.getLogger("bandit_client")
# The first member of a line, and the row that it stands for.
_KINDS = {"i": Row(impressions=1), "c": Row(clicks=1), "v": Row(conversions=1)}


class Journal:
    """One segment. The operating system has each event when ``write`` returns: it outlives the process, not a power
    failure."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._torn = False

    def write(self, line: bytes) -> None:
        """Append a line. A full disk does not stop the caller: the event is then as safe as without a journal."""
        try:
            written = os.write(self._file, b"\n" + line if self._torn else line)
            self._torn = written < len(line)
        except OSError as error:
            _log.error("bandit: an event could not be journaled: %s", error)

    def close(self) -> None:
        os.close(self._file)


def line_head(kind: str, exposure: Exposure) -> bytes:
    """A line up to its value: all events of a kind on one day begin alike."""
    return json.dumps([kind, *exposure]).encode()[:-1]


def read_journal(path: Path) -> Rows:
    """Count the events of a segment. The last line may be torn: the call that wrote it had not returned."""
    rows: Rows = {}
    for line in path.read_bytes().split(b"\n"):
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
