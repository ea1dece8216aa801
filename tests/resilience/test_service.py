"""The service that these tests start runs in production's settings."""

from collections.abc import Callable

from tests.resilience.databases import postgresql
from tests.resilience.service import WORKERS, served


def test_service__as_in_production__answers_from_its_own_workers(report: Callable[[str], None]) -> None:
    with postgresql() as database, served(database) as service:
        created = service.post("/api/v1/experiments/", {"name": "Button", "variants": [{"name": "a"}]})
        page = service.get("/dashboard/", allow_redirects=False)
        workers = service.workers()

    assert created.status_code == 201, created.text
    # outside DEBUG a page wants a login
    assert page.status_code == 302
    assert len(workers) == WORKERS
    report(f"{len(workers)} workers")
