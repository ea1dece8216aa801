"""Who looks at data that a person or a file has brought, in the transaction that writes them.

Nothing is decided from such data before the next allocation, but pages show them at once. What programs send comes far
too often for that: it is looked at when it is decided from.
"""

import datetime as dt
from collections.abc import Callable, Sequence

# Gets the ids of the experiments and the moment.
Watcher = Callable[[Sequence[int], dt.datetime], None]

_watchers: list[Watcher] = []


def watch_arrivals(watcher: Watcher) -> None:
    """Call it whenever such data have come; for apps above, when they start."""
    _watchers.append(watcher)


def tell_of_arrival(experiment_ids: Sequence[int], now: dt.datetime) -> None:
    """Call with the experiments locked."""
    for watcher in _watchers if experiment_ids else ():
        watcher(experiment_ids, now)
