"""Threads that wait for the next request of their client, as long as no other connection needs one of them.

A program sends one request right after the other. To receive each in the worker's loop and hand it to a thread takes a
third of a small request's time, and two changes of threads. So a thread stays with its client for a moment. What wants
a thread while all are taken calls one of those that wait.
"""

import os
import select
import socket
import time
from contextlib import suppress


class Waits:
    """The threads of a worker that wait; ``want`` and ``done`` are for its loop, which makes one in each process."""

    def __init__(self, threads: int) -> None:
        self._threads, self._wanting = threads, 0
        self._waiting: set[socket.socket] = set()
        # Each byte calls one thread.
        self._called, self._call = os.pipe()
        os.set_blocking(self._called, False)
        os.set_blocking(self._call, False)

    def want(self) -> None:
        """Count a connection that has or wants a thread; where there are more than threads, call one that waits."""
        self._wanting += 1
        if self._are_too_few and self._waiting:
            with suppress(BlockingIOError):
                os.write(self._call, b"\0")

    def done(self) -> None:
        """Count a connection that its thread has left."""
        self._wanting -= 1

    def for_bytes(self, sock: socket.socket, seconds: float) -> bool:
        """Wait in a thread so long for bytes or the end; False where none came, or another needs the thread."""
        self._waiting.add(sock)
        try:
            # after that, so that one of the two sees the other
            return not self._are_too_few and self._come(sock, time.monotonic() + seconds)
        finally:
            self._waiting.discard(sock)

    @property
    def _are_too_few(self) -> bool:
        return self._wanting > self._threads

    def _come(self, sock: socket.socket, deadline: float) -> bool:
        poller = select.poll()  # a worker has more open files than select() can name
        poller.register(sock, select.POLLIN)
        poller.register(self._called, select.POLLIN)
        while (left := deadline - time.monotonic()) > 0:
            ready = [file for file, _event in poller.poll(1000 * left)]
            if sock.fileno() in ready:
                return True
            if self._called in ready and self._is_called():
                return False
        return False

    def _is_called(self) -> bool:
        """Take a call, of which another thread may be the first to hear, or that may have been answered already."""
        try:
            os.read(self._called, 1)
        except BlockingIOError:
            return False
        return self._are_too_few
