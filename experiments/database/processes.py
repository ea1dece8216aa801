"""Processes that work for this one, each with its own connection to the database.

This module imports no model: a process that begins reads it before Django is ready.
"""

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor

import django


def pool_of_processes(number: int) -> ProcessPoolExecutor:
    """Return processes which signals do not reach: they end what they have begun, and with the one that made them."""
    # a fork would share this one's connection
    return ProcessPoolExecutor(number, multiprocessing.get_context("spawn"), initializer=_begin)


def _begin() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    django.setup()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
