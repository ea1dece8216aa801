"""How often Python looks for objects that only hold each other."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

# New objects between two looks for cycles that nothing uses. Sweeps and imports make many objects and few cycles: at
# Python's own 700 the looks take a tenth of their time, or more.
_BETWEEN_COLLECTIONS = 500_000


class _Depth:
    """Counts the threads within, so that the last one to leave sets back what the first one found."""

    lock, within, usual = Lock(), 0, gc.get_threshold()


@contextmanager
def collecting_seldom() -> Iterator[None]:
    """Collect seldom while many objects are made that all stay: to look at each again and again takes longer than to
    make them.
    """
    with _Depth.lock:
        if not _Depth.within:
            _Depth.usual = gc.get_threshold()
            gc.set_threshold(_BETWEEN_COLLECTIONS, *_Depth.usual[1:])
        _Depth.within += 1
    try:
        yield
    finally:
        with _Depth.lock:
            _Depth.within -= 1
            if not _Depth.within:
                gc.set_threshold(*_Depth.usual)
