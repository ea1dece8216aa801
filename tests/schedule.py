"""Which tests a process of a run gets at once: those of a file that follow each other.

To give tests one by one costs more: the processes speak about each, and each
of them prepares what a file prepares once.
"""

from collections.abc import Sequence
from itertools import groupby

from xdist.scheduler.loadgroup import LoadGroupScheduling

# A test takes seconds in these folders: no process should have a whole file of them in the end.
_ONE_BY_ONE = ("tests/browser/", "tests/contract/")
# Tests of these files wait for a time-out or another program: in the end no process could compute meanwhile.
_WAITING = (
    "tests/bandit_project/administration/oidc/test_tokens.py",
    "tests/bandit_project/server/test_messages.py",
    "tests/notifications/test_delivery.py",
    "tests/test_examples.py",
)
# Of other files a process has so many tests at once, so that all come to their end together.
_MOST = 40


class ByFile(LoadGroupScheduling):  # type: ignore[misc]  # a class without types
    """The scheduler of ``--dist loadgroup``, with units of several tests."""

    def schedule(self) -> None:
        first, *others = self.registered_collections.values()
        if self.collection is None and all(other == first for other in others):
            self._units = units_of(first)
            # The places of the units in the queue; the scheduler itself fills them.
            self.workqueue.update((unit, {}) for unit in ordered(self._units))
            self.config.option.loadscopereorder = False
        super().schedule()

    def _split_scope(self, nodeid: str) -> str:
        return self._units[nodeid]


def units_of(tests: Sequence[str]) -> dict[str, str]:
    """The unit of each test, all named by their ids: its group, itself, or its part of a file."""
    found: dict[str, str] = {}
    for file, following in groupby(tests, key=_group_or_file):
        together = list(following)
        most = 1 if _takes_seconds(file) else _MOST
        for number, test in enumerate(together):
            found[test] = file if file.startswith("@") else together[number - number % most]
    return found


def ordered(units: dict[str, str]) -> list[str]:
    """The units in the order in which they begin: those first that wait much, while another process can compute.

    These are groups, which start services, then files that wait, then tests that take seconds each. What computes alone
    fills the end.
    """

    def place(unit: str) -> tuple[bool, ...]:
        return not unit.startswith("@"), not unit.startswith(_WAITING), not _takes_seconds(unit)

    return sorted(dict.fromkeys(units.values()), key=place)


def _takes_seconds(test: str) -> bool:
    return test.startswith(_ONE_BY_ONE)


def _group_or_file(test: str) -> str:
    """``@`` and the name of a group, which pytest-xdist puts behind the id, or the file."""
    group = test.rpartition("@")[2] if test.rfind("@") > test.rfind("]") else ""
    return f"@{group}" if group else test.partition("::")[0]
