"""Long computations as a stream: progress, the result, and what breaks."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import translation

from dashboard.lab.stream import stream
from tests.dashboard.streams import messages_of

# a response that is closed looks after the connections, of which these use none
pytestmark = [pytest.mark.django_db, pytest.mark.database_free]


def test_stream__a_thousand_steps__are_reported_in_hundredths() -> None:
    def work(on_step: Callable[[], object]) -> int:
        for _ in range(1000):
            on_step()
        return 7

    *progress, last = messages_of(stream(work, 1000, lambda result: f"<p>{result}</p>"))

    assert progress == [{"done": n / 100} for n in range(1, 101)]
    assert last == {"html": "<p>7</p>"}


def test_stream__rendered_after_the_request__in_the_readers_language() -> None:
    with translation.override("pt-br"):
        response = stream(lambda on_step: None, 1, lambda result: translation.get_language() or "")

    assert messages_of(response) == [{"html": "pt-br"}]


@pytest.mark.parametrize("breaks", ["work", "render"])
def test_stream__what_breaks__is_reported_and_logged(breaks: str, caplog: pytest.LogCaptureFixture) -> None:
    def work(on_step: Callable[[], object]) -> None:
        if breaks == "work":
            raise ZeroDivisionError

    def render(result: Any) -> str:
        raise ZeroDivisionError

    assert messages_of(stream(work, 1, render)) == [{"failed": True}]
    assert "a computation for a page failed" in caplog.text


def test_stream__nobody_reads_on__the_work_stops() -> None:
    begun, stopped = threading.Event(), threading.Event()

    def work(on_step: Callable[[], object]) -> None:
        try:
            while True:
                on_step()
                begun.set()
        except Exception:
            stopped.set()
            raise

    response = stream(work, 1, lambda result: "")
    next(response.streaming_content)  # type: ignore[arg-type]  # no asynchronous one here
    assert begun.wait(10)
    response.close()

    assert stopped.wait(10)
