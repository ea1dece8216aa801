"""How many connections each worker has, in memory that all workers of a server share.

All of them listen to one socket. The first to wake up took whatever waited there: of 16 clients that connected at once
one worker often had all, and the other none, so that a server with two cores answered by one. So a worker leaves a
connection to one that has fewer, for a moment: a worker that does not come for it keeps no client waiting.
"""

import mmap

# Workers that are counted: two whose ages differ by this number share a place, which costs nothing but balance.
_PLACES = 128
# A worker says at least once a second that it goes on; of one that has not for so long nothing is expected.
_SILENT_SECONDS = 2.5
# Of each period with workers that have fewer, so long at its beginning connections are left to them.
_PERIOD_SECONDS, _PATIENT_SECONDS = 0.1, 0.01


class Peers:
    """The workers of a server, and this one's place among them. It is made before the worker's process is."""

    _shared = memoryview(mmap.mmap(-1, 2 * 8 * _PLACES)).cast("d")
    _heard, _connections = _shared[:_PLACES], _shared[_PLACES:]

    def __init__(self, age: int) -> None:
        self._place = age % _PLACES
        self._left_at = float("-inf")

    def go_on(self, now: float) -> None:
        """Say that this worker takes connections; ``now`` is the machine's monotonic time."""
        self._heard[self._place] = now

    def end(self) -> None:
        """Say that it takes none any more."""
        self._heard[self._place] = 0

    def hold(self, connections: int) -> None:
        self._connections[self._place] = connections

    def should_take(self, now: float) -> bool:
        """Tell whether this worker should take a connection that waits, or leave it to another for a moment."""
        if not self._some_has_fewer(now - _SILENT_SECONDS):
            self._left_at = float("-inf")
            return True
        if now - self._left_at > _PERIOD_SECONDS:
            self._left_at = now
        return now - self._left_at > _PATIENT_SECONDS

    def _some_has_fewer(self, since: float) -> bool:
        own = self._connections[self._place]
        counted = zip(self._heard.tolist(), self._connections.tolist(), strict=True)
        return any(heard > since and connections < own for heard, connections in counted)
