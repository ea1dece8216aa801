"""PostgreSQL stops and starts while clients write: they get a 503, retry, and every write counts once."""

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import requests

from tests.processes.clusters import MIGRATED, database_of_its_own, pg_ctl, postgresql_url, start_options
from tests.resilience.load import Load, answer_of, impressions_of, make_experiments, writers
from tests.resilience.scale import scaled
from tests.resilience.service import Service, served

WRITERS = 6
# The service must answer every client again this soon after its database does; on a machine where a write of every
# client takes long without any outage, so many times that more.
RECOVERY_SECONDS = 5.0
RECOVERY_WRITES = 10
HTML = "text/html; charset=utf-8"


def _stop(folder: Path, mode: str) -> None:
    """Stop the server. fast: it aborts open transactions; immediate: as after a crash, with recovery."""
    pg_ctl(folder, "--mode", mode, "stop")


def _start(folder: Path) -> None:
    pg_ctl(folder, *start_options(folder), "start")


def _others(service: Service, experiment: int) -> list[requests.Response]:
    """Send the other calls that programs make."""
    allocation = f"/api/v1/experiments/{experiment}/allocation/"
    place = {"experiment_id": experiment, "date": "2025-01-01", "variant_name": "a"}
    return [
        service.get("/api/v1/experiments/"),
        service.post("/events", {**place, "impressions": 0, "clicks": 0}),
        service.post(allocation, {}),
        service.get(allocation),
        service.get(f"/allocation?experiment_id={experiment}"),
    ]


def _pages(service: Service, experiment: int) -> list[requests.Response]:
    """Open pages with a session, which is stored in the database too."""
    browser: dict[str, Any] = {"headers": {"Accept": "text/html"}, "cookies": {"sessionid": "a" * 32}}
    paths = ("/dashboard/", f"/dashboard/experiments/{experiment}/", "/accounts/login/", "/admin/")
    return [service.get(path, **browser) for path in paths]


class Recovery(NamedTuple):
    """Seconds until every client had a write acknowledged: on average before the outage, and at its end."""

    usual: float
    seconds: float

    @property
    def is_soon(self) -> bool:
        return self.seconds < RECOVERY_SECONDS + RECOVERY_WRITES * self.usual


def _stop_and_start(folder: Path, mode: str, load: Load, ask: Callable[[], None]) -> Recovery:
    """Stop the server, call ``ask``, and start it."""
    usual = _seconds(lambda: load.wait_for_everyone(more=5)) / 5
    _stop(folder, mode)
    load.wait_for_more((503, "unavailable"), 10 * WRITERS)
    ask()
    _start(folder)
    return Recovery(usual, _seconds(load.wait_for_everyone))


def _seconds(wait: Callable[[], None]) -> float:
    started = time.monotonic()
    wait()
    return time.monotonic() - started


def test_database_restart__under_load__is_503_meanwhile_and_every_write_counts_once(
    report: Callable[[str], None],
) -> None:
    outages = scaled(2, 10)
    during: list[requests.Response] = []
    pages: list[requests.Response] = []
    with database_of_its_own() as folder, served(postgresql_url(folder, MIGRATED)) as service:
        experiments = make_experiments(service, 3)

        def ask() -> None:
            during.extend(_others(service, experiments[0]))
            pages.extend(_pages(service, experiments[0]))

        with writers(service, experiments, WRITERS) as load:
            modes = itertools.islice(itertools.cycle(("fast", "immediate")), outages)
            recoveries = [_stop_and_start(folder, mode, load, ask) for mode in modes]
        counts = [impressions_of(service, experiment) for experiment in experiments]
        afterwards = [*_others(service, experiments[0]), *_pages(service, experiments[0])]

    assert {answer_of(response) for response in during} == {(503, "unavailable")}
    assert {(page.status_code, page.headers["Content-Type"]) for page in pages} == {(503, HTML)}
    assert all("try again" in page.text for page in pages)
    assert set(load.answers) == {(200, ""), (503, "unavailable")}
    assert [recovery for recovery in recoveries if not recovery.is_soon] == []
    assert counts == [load.sent_by_variant()] * len(experiments)
    assert {response.status_code for response in afterwards} <= {200, 201}
    report(
        f"{outages} outages, {load.acknowledged.total()} writes acknowledged, {load.replayed} of them done before "
        f"the answer was lost, {load.answers[503, 'unavailable']} answers of 503, every client served again after "
        f"{max(recovery.seconds for recovery in recoveries):.1f} s at most"
    )
