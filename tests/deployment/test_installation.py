"""Production, started by the image's entrypoint, as its users and operators meet it."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.deployment.installation import Installation, free_port, path
from tests.deployment.login import client_of, log_in
from tests.deployment.observatory import A_PLUS, HALF_A_YEAR, policy_of, score

pytestmark = [pytest.mark.database_free, pytest.mark.xdist_group("deployment")]

ALWAYS_OPEN = ("/health", "/docs", "/schema", "/accounts/login/", "/admin/login/")
PAGES = ("/dashboard/", "/dashboard/experiments/button/", "/admin/", "/admin/experiments/dailymetric/")
CALLS = (
    "/experiments",
    "/download-template",
    "/api/v1/experiments/",
    "/api/v1/experiments/button/statistics/",
    "/api/v1/experiments/button/allocation/",
    "/api/v1/events/template.csv",
)


def test_start__logs__say_nothing_that_worries(served: Installation) -> None:
    served.session().get(f"{served.url}/health").raise_for_status()

    log = (served.folder / "web.log").read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    assert "Booting worker" in log
    assert {"gunicorn"} <= {line["logger"] for line in lines}
    assert re.findall(r".*(?:warning|error|traceback).*", log, re.I) == []


@pytest.mark.parametrize("path", ALWAYS_OPEN)
def test_open_page__over_https__answers(served: Installation, path: str) -> None:
    assert served.session().get(f"{served.url}{path}").status_code == 200


def test_every_page_and_call__over_https__answers(with_user: Installation, experiment: str, key: str) -> None:
    visitor, program = log_in(with_user), client_of(with_user, key)

    answers = {path: visitor.get(f"{with_user.url}{path}") for path in PAGES}
    answers |= {path: program.get(f"{with_user.url}{path}") for path in CALLS}

    assert {path: answer.status_code for path, answer in answers.items() if answer.status_code != 200} == {}
    assert all(answer.url.startswith("https://") for answer in answers.values())


def test_page__everything_it_names__comes_from_here_compressed_and_kept_for_ever(
    with_user: Installation, experiment: str
) -> None:
    visitor = log_in(with_user)
    page = visitor.get(f"{with_user.url}/dashboard/experiments/{experiment}/").text
    files = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="([^"]+)"', page)

    assert len(files) >= 3
    for name in files:
        assert name.startswith("/"), name
        answer = visitor.get(f"{with_user.url}{name}", headers={"Accept-Encoding": "gzip"})
        assert answer.status_code == 200, name
        if name.startswith("/static/"):
            assert "immutable" in answer.headers["Cache-Control"], name
    assert visitor.get(f"{with_user.url}{files[0]}").headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/accounts/login/", "/dashboard/", "/admin/"])
def test_headers__by_observatorys_rules__earn_an_a_plus(with_user: Installation, path: str) -> None:
    answer = log_in(with_user).get(f"{with_user.url}{path}")
    headers, policy = answer.headers, policy_of(answer.headers["Content-Security-Policy"])

    assert score(headers, answer.raw.headers.getlist("Set-Cookie")) >= A_PLUS
    assert policy["default-src"] in (["'self'"], ["'none'"])
    assert {"frame-ancestors", "base-uri", "form-action"} <= policy.keys()
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert int(headers["Strict-Transport-Security"].split("max-age=")[1].split(";")[0]) >= HALF_A_YEAR
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cross-Origin-Opener-Policy"] == headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Server"] == "nginx"


def test_cookies__of_a_session__are_secure_and_of_this_site_alone(with_user: Installation) -> None:
    session = log_in(with_user)

    cookies = {cookie.name: cookie for cookie in session.cookies}
    assert cookies.keys() >= {"sessionid", "csrftoken"}
    for cookie in cookies.values():
        assert cookie.secure
        assert cookie._rest.get("SameSite") in ("Lax", "Strict")  # type: ignore[attr-defined]  # not in the stubs
    assert "HttpOnly" in cookies["sessionid"]._rest  # type: ignore[attr-defined]  # not in the stubs


def test_check_deploy__production_settings__is_silent(installed: Installation) -> None:
    result = installed.run("manage", "check", "--deploy", "--fail-level", "WARNING")

    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert "no issues" in result.stdout


def test_healthcheck__of_the_image__tells_well_from_unwell(served: Installation) -> None:
    command = ["python", "deploy/healthcheck.py"]
    environment = served.environment

    well = subprocess.run(command, cwd=served.image.folder, env=environment, capture_output=True, text=True)
    nobody = {**environment, "PORT": str(free_port())}
    unwell = subprocess.run(command, cwd=served.image.folder, env=nobody, capture_output=True, text=True)

    assert (well.returncode, unwell.returncode) == (0, 1)
    assert '"healthy"' in well.stdout
    assert "Traceback" not in unwell.stderr


@pytest.mark.parametrize(
    ("silent", "code", "words"),
    [(5, 0, "went on"), (200, 1, "silent for [0-9]+ seconds"), (None, 1, "No such file")],
)
def test_healthcheck__of_the_scheduler__tells_one_that_goes_on_from_one_that_hangs(
    installed: Installation, tmp_path: Path, silent: int | None, code: int, words: str
) -> None:
    beat, begun = tmp_path / "beat", time.time()
    if silent is not None:
        beat.touch()
        os.utime(beat, (begun - silent,) * 2)

    result = subprocess.run(
        ["python", "deploy/healthcheck.py", "scheduler"],
        cwd=installed.image.folder, env={**installed.environment, "SCHEDULER_HEARTBEAT": str(beat)},
        capture_output=True, text=True,
    )  # fmt: skip

    assert result.returncode == code
    assert re.search(words, result.stdout + result.stderr)
    for seconds in map(int, re.findall("silent for ([0-9]+)", result.stderr + result.stdout)):
        # those of the test itself are added, and rounded
        assert 200 <= seconds <= 201 + time.time() - begun
    assert "Traceback" not in result.stderr


def test_scheduler__database_not_yet_migrated__waits_and_says_for_what(
    installed: Installation, tmp_path: Path
) -> None:
    result = installed.run(
        "scheduler", DATABASE_URL=f"sqlite:///{tmp_path}/new.sqlite3", DATABASE_WAIT_SECONDS="1"
    )

    assert result.returncode == 1
    assert re.search(r"No database after 1 seconds: \d+ pending migrations", result.stderr)


def test_worker__without_the_packages_of_the_extra__names_the_file_that_has_them(
    installed: Installation, tmp_path: Path
) -> None:
    (tmp_path / "celery.py").write_text("raise ModuleNotFoundError")

    result = installed.run("worker", PYTHONPATH=str(tmp_path))

    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "The worker needs the packages of requirements-extras.txt, which the image has.\n"


def test_entrypoint__called_with_its_own_path_first__does_what_follows(installed: Installation) -> None:
    result = installed.run("/app/deploy/entrypoint.sh", "manage", "check")

    assert result.returncode == 0, result.stderr


def test_health__database_that_swallows_every_packet__answers_within_one_attempt_to_connect(
    installed: Installation,
) -> None:
    """It accepts a connection and never says a word, as behind a firewall that drops."""
    asked = []
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        silent.settimeout(30)
        address = f"postgresql://bandit@127.0.0.1:{silent.getsockname()[1]}/bandit?connect_timeout=2"
        command = [
            "manage.py", "shell", "--no-imports", "--command",
            "from bandit_project.ops.health import database_problem; print(database_problem())",
        ]  # fmt: skip
        with subprocess.Popen(
            ["python", *command], cwd=installed.image.folder,
            env={**installed.environment, "DATABASE_URL": address}, stdout=subprocess.PIPE, text=True,
        ) as shell:  # fmt: skip
            asked.append(silent.accept()[0])
            said, _ = shell.communicate(timeout=60)
            silent.setblocking(False)
            with pytest.raises(BlockingIOError):
                silent.accept()
    asked[0].close()
    assert said.strip() == "unreachable"


def test_disk__image_and_home__cannot_be_written_and_are_not(
    with_user: Installation, experiment: str
) -> None:
    attempt = [*with_user.command()[:-1], "touch", "new"]
    refused = subprocess.run(attempt, cwd=with_user.image.folder, capture_output=True, text=True)

    assert refused.returncode != 0
    assert frozenset(with_user.image.folder.rglob("*")) == with_user.image.files
    assert not Path("/nonexistent").exists()


def _second(made: Installation) -> dict[str, str]:
    return {"PORT": str(free_port()), "WEB_CONCURRENCY": "1"}


def _serve_once(made: Installation, **variables: str) -> subprocess.CompletedProcess[str]:
    return made.run("web", **{**_second(made), **variables})


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"SECRET_KEY_FILE": ""}, "SECRET_KEY is not set. SECRET_KEY must be 43 or more"),
        ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS is '*'."),
        (
            {"DEBUG": "true", "ENVIRONMENT": "production"},
            "DEBUG must be false where ENVIRONMENT is production",
        ),
        ({"WEB_CONCURRENCY": "many"}, "WEB_CONCURRENCY is 'many'. It must be a whole number"),
    ],
)
def test_start__unsafe__ends_with_the_reason_and_no_traceback(
    installed: Installation, variables: dict[str, str], reason: str
) -> None:
    result = _serve_once(installed, **variables)

    assert result.returncode != 0
    assert reason in result.stderr
    assert "Traceback" not in result.stderr


def test_start__no_database__gives_up_in_time_and_says_where_it_looked(installed: Installation) -> None:
    address = f"postgresql://bandit@127.0.0.1:{free_port()}/bandit"

    result = _serve_once(installed, DATABASE_URL=address, DATABASE_WAIT_SECONDS="1")

    assert result.returncode != 0
    assert "No database after 1 seconds: connection failed" in result.stderr
    assert "Traceback" not in result.stderr


def test_metrics_folder__files_of_an_earlier_start__are_gone_and_a_command_leaves_it_alone(
    installed: Installation,
) -> None:
    folder = installed.folder / "tmp/second"
    folder.mkdir()
    (folder / "counter_7.db").write_text("old")
    variables = {"PROMETHEUS_MULTIPROC_DIR": str(folder)}

    installed.run("manage", "showmigrations", **variables)
    assert (folder / "counter_7.db").exists()

    with _serving_beside(installed, variables):
        assert not (folder / "counter_7.db").exists()


def _serving_beside(made: Installation, variables: dict[str, str]) -> Any:
    port = free_port()
    other = replace(made, app=port, environment=dict(made.environment))
    other.environment |= {"PORT": str(port), "WEB_CONCURRENCY": "1"}
    return other.serving(**variables)


def _worked(pid: int) -> float:
    """The seconds of CPU that the children of a process have used, those that run and those that have ended."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    stats = [Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split() for child in children]
    return sum(int(stat[11]) + int(stat[13]) for stat in stats) / os.sysconf("SC_CLK_TCK")


def test_stop__while_requests_run__answers_them_first(
    installed: Installation, served: Installation, key: str
) -> None:
    """A deployment loses nothing: SIGTERM lets what has begun come to its end."""
    port = free_port()
    other = replace(installed, app=port, environment=dict(installed.environment))
    other.environment |= {"PATH": path(), "PORT": str(port), "WEB_CONCURRENCY": "2", "WEB_THREADS": "2"}
    body = {"rates": [0.04, 0.05], "days": 60, "runs": 90, "daily_traffic": 1000}

    def simulate() -> int:
        headers = {"Authorization": f"Api-Key {key}", "X-Forwarded-Proto": "https", "Host": "localhost"}
        return requests.post(
            f"http://127.0.0.1:{port}/api/v1/simulations/", json=body, headers=headers, timeout=60
        ).status_code

    with ThreadPoolExecutor() as pool, other.serving() as server:
        idle = _worked(server.pid)
        running = pool.submit(simulate)
        while _worked(server.pid) < idle + 0.1 and not running.done():
            time.sleep(0.01)
        still_running = not running.done()
        server.send_signal(signal.SIGTERM)

        assert running.result() == 200
        assert server.wait(timeout=30) == 0
    assert still_running
