"""The proxy in front of the service, nginx, as its clients and operators meet it."""

import json
import shutil
import socket
import ssl
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.deployment.installation import COMMAND_SECONDS, Installation, free_port, nginx, wait_for_port
from tests.deployment.login import client_of

pytestmark = [pytest.mark.database_free, pytest.mark.xdist_group("deployment")]


def test_plain_http__any_path_and_method__leads_to_https_on_the_same_host_and_the_visitors_port(
    served: Installation,
) -> None:
    address = f"http://localhost:{served.http}/dashboard/?a=1"

    answer = requests.post(address, allow_redirects=False, timeout=10)

    # 308: the method stays
    assert answer.status_code == 308
    assert answer.headers["Location"] == f"https://localhost:{served.https}/dashboard/?a=1"


def test_proxy__service_away__answers_503_as_its_body_says(installed: Installation, tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    alone = replace(installed, folder=tmp_path, app=free_port(), http=free_port(), https=free_port())
    shutil.copytree(installed.certificate.parent, alone.certificate.parent)

    with nginx(alone):
        wait_for_port(alone.https)
        answer = alone.session().get(f"{alone.url}/dashboard/")

    assert (answer.status_code, answer.json()["status"]) == (503, 503)
    assert answer.headers["Retry-After"] == "5"
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_proxy__browser_that_speaks_http2__gets_it(served: Installation) -> None:
    context = ssl.create_default_context(cafile=str(served.certificate))
    context.set_alpn_protocols(["h2", "http/1.1"])

    with (
        socket.create_connection(("localhost", served.https)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        assert connection.selected_alpn_protocol() == "h2"


def test_access_log__each_request__is_a_json_line_without_query_and_secrets(served: Installation) -> None:
    paths = (
        "/health?token=query-secret",
        "/accounts/invitation/link-secret/",
        "/dashboard/shared/report-secret/",
    )
    for path in paths:
        served.session().get(f"{served.url}{path}", headers={"User-Agent": 'a "quoted" one'})

    mine = _logged(served, 'a "quoted" one', 2)
    assert [line["path"] for line in mine] == ["/accounts/invitation/...", "/dashboard/shared/..."]
    assert {"address", "method", "code", "seconds", "request_id"} <= mine[0].keys()
    assert mine[0]["request_id"]
    assert "secret" not in (served.folder / "nginx.log").read_text()


def _logged(served: Installation, agent: str, count: int) -> list[dict[str, Any]]:
    """The lines of an agent, once there are so many: nginx writes them after it has answered."""
    deadline = time.monotonic() + COMMAND_SECONDS
    while True:
        written = (served.folder / "nginx.log").read_text()
        lines = [json.loads(line) for line in written.splitlines() if line.startswith("{")]
        found = [line for line in lines if line["agent"] == agent]
        if len(found) >= count or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


def test_acme_challenge__over_plain_http__is_served_from_its_folder(served: Installation) -> None:
    folder = served.folder / "acme/.well-known/acme-challenge"
    folder.mkdir(parents=True)
    (folder / "token").write_text("answer")

    answer = requests.get(f"http://localhost:{served.http}/.well-known/acme-challenge/token", timeout=10)

    assert answer.text == "answer"


def test_forwarded_headers__written_by_a_client__are_not_believed(served: Installation) -> None:
    """nginx removes them, and only nginx can reach the service itself."""
    claims = {"X-Forwarded-Proto": "http", "X-Forwarded-For": "10.9.9.9", "X-Forwarded-Host": "evil.example"}

    answer = served.session().get(f"{served.url}/accounts/login/", headers=claims, allow_redirects=False)

    assert answer.status_code == 200
    assert "evil.example" not in answer.text


def test_host__not_ours__is_refused(served: Installation) -> None:
    answer = served.session().get(f"{served.url}/dashboard/", headers={"Host": "evil.example"})

    assert answer.status_code == 400


@pytest.mark.parametrize("path", ["/metrics", "/metrics/"])
def test_metrics__from_outside__are_not_there(served: Installation, path: str) -> None:
    assert served.session().get(f"{served.url}{path}").headers["Content-Type"] == "text/html"


def test_body__larger_than_the_limit__is_a_problem_that_nginx_words(served: Installation, key: str) -> None:
    answer = client_of(served, key).post(f"{served.url}/events", data=b" " * (10 * 1024 * 1024 + 1))

    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_form__larger_than_the_limit__is_answered_by_a_page(served: Installation) -> None:
    answer = served.session().post(
        f"{served.url}/dashboard/experiments/any/data/upload/",
        data=b" " * (10 * 1024 * 1024 + 1),
        headers={"Accept": "text/html,*/*;q=0.8"},
    )

    assert (answer.status_code, answer.headers["Content-Type"]) == (413, "text/html")
    assert "A file may have at most 8 MB: split it" in answer.text


def test_answer__large_json__is_compressed(served: Installation) -> None:
    assert served.session().get(f"{served.url}/schema").headers["Content-Encoding"] == "gzip"
