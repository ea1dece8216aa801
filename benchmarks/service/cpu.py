"""CPU time of the processes of a service, from /proc: on a busy machine it says more than requests a second."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def cpu_seconds(service: Sequence[bytes]) -> Iterator[list[float]]:
    """Give the CPU time that the service used meanwhile: the processes whose command line holds one of these parts,
    and their children."""
    used: list[float] = []
    before = _cpu_of(service)
    yield used
    used.append(_cpu_of(service) - before)


def _cpu_of(service: Sequence[bytes]) -> float:
    read = [found for stat in Path("/proc").glob("[0-9]*/stat") if (found := _process(stat)) is not None]
    # a benchmark names what it measures in its own command line
    others = [one for one in read if one[0] != os.getpid()]
    ours = {pid for pid, _parent, command, _used in others if any(part in command for part in service)}
    return sum(used for pid, parent, _command, used in others if pid in ours or parent in ours)


def _process(stat: Path) -> tuple[int, int, bytes, float] | None:
    """Read the ids of a process and its parent, its command line, and seconds used by it and its ended children."""
    try:
        fields = stat.read_text().rsplit(")", 1)[1].split()
        command = (stat.parent / "cmdline").read_bytes()
    except OSError:
        return None  # it has ended
    return int(stat.parent.name), int(fields[1]), command, sum(map(int, fields[11:15])) / _TICKS
