"""Long computations as a stream of lines of JSON, so that a person who waits sees how far it is.

``{"done": 0.25}`` again and again, then ``{"html": "..."}``, the finished part of the page; ``{"computed": "..."}``
where the rest is another request's, which brings this along (dashboard.lab.parts); ``{"failed": true}`` should the
computation break. It runs in a thread of the worker that serves the request: no queue, no state, and it ends when the
reader goes away.
"""

import json
import logging
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from django.http import StreamingHttpResponse
from django.utils import translation

from dashboard.lab.parts import COMPUTED, PausedError

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
# What is computed, given what to call after each of its steps.
Work = Callable[[Callable[[], object]], Result]


def stream(
    work: Work[Result], steps: int, render: Callable[[Result], str], rest: Callable[[], str] = str
) -> StreamingHttpResponse:
    """Stream the progress and the result, which ``render`` makes a part of the page, in the reader's language.

    ``rest`` packs what has been computed, should the work pause.
    """
    lines = _lines(work, steps, render, rest, translation.get_language())
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingHttpResponse(lines, content_type="application/x-ndjson", headers=headers)


def _lines(
    work: Work[Result],
    steps: int,
    render: Callable[[Result], str],
    rest: Callable[[], str],
    language: str | None,
) -> Iterator[bytes]:
    running = _Running(work, steps)
    try:
        for done in running.progress():
            yield _line({"done": done})
        with translation.override(language):
            html = render(running.result())
        yield _line({"html": html})
    except PausedError:
        yield _line({COMPUTED: rest()})
    except Exception:
        # the answer has begun, so its status can no longer say so; half a page would be worse
        logger.exception("a computation for a page failed")
        yield _line({"failed": True})
    finally:
        running.stop()


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


class _StoppedError(Exception):
    """The reader went away, so that the result is not needed any more."""


class _Running(Generic[Result]):
    """The computation in its thread; hundredths of progress come through a queue, None at the end."""

    def __init__(self, work: Work[Result], steps: int) -> None:
        self._work, self._steps, self._step, self._sent = work, max(steps, 1), 0, 0
        self._queue: queue.Queue[int | None] = queue.Queue()
        self._stopped = threading.Event()
        self._outcome: list[Result] = []
        self._error: BaseException | None = None
        threading.Thread(target=self._run, daemon=True).start()

    def progress(self) -> Iterator[float]:
        while (hundredths := self._queue.get()) is not None:
            yield hundredths / 100

    def result(self) -> Result:
        if self._error is not None:
            raise self._error
        return self._outcome[0]

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        try:
            self._outcome.append(self._work(self._on_step))
        except BaseException as error:  # raised again where the result is asked for
            self._error = error
        finally:
            self._queue.put(None)

    def _on_step(self) -> None:
        if self._stopped.is_set():
            raise _StoppedError
        self._step += 1
        hundredths = 100 * self._step // self._steps
        if hundredths > self._sent:
            self._sent = hundredths
            self._queue.put(hundredths)
