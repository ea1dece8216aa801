"""DEPLOY_CHECKLIST.md, done as it says: its commands in their order, and between them what one clicks."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import ROOT
from tests.deployment.installation import (
    COMMAND_SECONDS,
    Image,
    Installation,
    installation,
)
from tests.deployment.login import PASSWORD, log_in
from tests.processes.clusters import MIGRATED, postgresql_program, run_psql
from tests.processes.files import sqlite_in

pytestmark = [pytest.mark.database_free, pytest.mark.xdist_group("deployment")]

CHECKLIST = (ROOT / "DEPLOY_CHECKLIST.md").read_text()
# What the list defines for Docker, for an installation without. Of all it asks only one thing: a password.
_SHELL = """
set -eu
app() {{
    if [ "$*" != "${{*#*createsuperuser}}" ]; then set -- "$@" --noinput; fi
    (cd {image} && {entrypoint} "$@")
}}
once() {{ app "$@"; }}
database() {{ (export PATH="{programs}:$PATH" PGHOST="{socket}"; "$@"); }}
HOST={host}
KEY=$(cat key 2>/dev/null || true)
{commands}
printf %s "${{KEY:-}}" > key
"""


# What deploy/backup.sh calls: docker compose exec|run OPTIONS SERVICE COMMAND, without containers.
_DOCKER = """#!/bin/sh
until [ "$1" = database ] || [ "$1" = migrate ]; do shift; done
service=$1
shift
if [ "$service" = database ]; then
    export PATH="{programs}:$PATH" PGHOST="{socket}"
    exec "$@"
fi
cd {image} && exec {entrypoint} "$@"
"""


def blocks(language: str, section: str = "") -> list[str]:
    """The fenced blocks of a language, of the section whose heading begins so."""
    text = re.split(rf"^## {re.escape(section)}", CHECKLIST, flags=re.M)[1] if section else CHECKLIST
    text = re.split(r"^## ", text, flags=re.M)[0] if section else text
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


class Operator:
    """One who has a shell, a browser, and the list."""

    def __init__(self, served: Installation, folder: Path) -> None:
        self.served, self.folder = served, folder
        (folder / "deploy").mkdir()
        shutil.copy2(ROOT / "deploy/backup.sh", folder / "deploy")
        self.docker = folder / "bin/docker"
        self.docker.parent.mkdir()
        self.docker.write_text(_DOCKER.format(**self._places()))
        self.docker.chmod(0o755)

    def _places(self) -> dict[str, object]:
        return {
            "image": self.served.image.folder,
            "entrypoint": " ".join(self.served.command()),
            "programs": postgresql_program("psql").parent,
            "socket": self.served.database,
        }

    def do(self, section: str) -> str:
        """All commands of a section; what they print."""
        commands = blocks("sh", section)
        assert commands, section
        script = _SHELL.format(
            **self._places(), host=f"localhost:{self.served.https}", commands="\n".join(commands)
        )
        environment = {
            **self.served.environment,
            "PATH": f"{self.docker.parent}:{self.served.environment['PATH']}",
            "CURL_CA_BUNDLE": str(self.served.certificate),
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
        }
        result = subprocess.run(
            ["sh", "-c", script],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=10 * COMMAND_SECONDS,
        )
        assert result.returncode == 0, f"{section}\n{result.stdout}\n{result.stderr}"
        return result.stdout

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()


@pytest.fixture
def operator(installed: Installation, tmp_path: Path) -> Operator:
    """One who only reads from the installation that others use too."""
    return Operator(installed, tmp_path)


@pytest.fixture
def newcomer(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """One with an installation before its first use."""
    with installation(tmp_path_factory.mktemp("day"), image) as made:
        # As the first start has migrated it; another test sees to that.
        run_psql(made.database, "DROP DATABASE bandit")
        run_psql(made.database, f"CREATE DATABASE bandit OWNER bandit TEMPLATE {MIGRATED}")
        with made.serving():
            yield Operator(made, tmp_path_factory.mktemp("operator"))


class _Form(HTMLParser):
    """The data that a browser would send from the page's main form if one changed nothing."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self._select = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag == "select":
            self._select = given.get("name", "")
        elif tag == "option" and "selected" in given and self._select:
            self.values[self._select] = given.get("value", "")
        elif tag == "input" and given.get("type") not in ("submit", "file", "checkbox", "button", "search"):
            self.values[given.get("name", "")] = given.get("value", "")


def _send(
    session: requests.Session, address: str, changes: dict[str, str], **options: Any
) -> requests.Response:
    page = session.get(address)
    page.raise_for_status()
    answer = session.post(
        page.url, data={**_Form(page.text).values, **changes}, headers={"Referer": page.url}, **options
    )
    answer.raise_for_status()
    return answer


def upload_days(session: requests.Session, admin: str, file: Path) -> None:
    """Uploads a file from where the admin leads, and records what its preview shows."""
    metrics = session.get(f"{admin}/experiments/dailymetric/?experiment=button").text
    link = re.search(r'href="([^"]*/data/upload/)"', metrics)
    assert link is not None
    address = admin.removesuffix("/admin") + link[1]
    preview = _send(session, address, {}, files={"file": (file.name, file.read_bytes())})
    assert "green" in preview.text
    done = _send(session, preview.url, {})
    assert done.url.endswith("/data/")


def correct_day(session: requests.Session, admin: str, variant: str, clicks: str) -> None:
    metrics = session.get(f"{admin}/experiments/dailymetric/").text
    row = next(
        row for row in re.findall(r"<tr.*?</tr>", metrics, re.S) if variant in row and "/change/" in row
    )
    number = re.search(r"/dailymetric/(\d+)/change/", row)
    assert number is not None
    _send(
        session,
        f"{admin}/experiments/dailymetric/{number[1]}/change/",
        {"clicks": clicks, "reason": "A typing error"},
    )
    history = session.get(f"{admin}/experiments/experiment/1/history/").text
    assert "A typing error" in history
    assert "ann" in history


def come_from_an_older_version(plan: Path) -> None:
    """Make the list that of a version without the heartbeats and what came after them."""
    lines = plan.read_text().splitlines()
    first = next(n for n, line in enumerate(lines) if "bandit_project.0008_heartbeats" in line)
    newer = [line for line in lines if line.startswith("[X]  bandit_project.")]
    newer = newer[newer.index(lines[first]) :]
    plan.write_text("\n".join(line for line in lines if line not in newer))


def test_an_operators_day__by_the_list_alone__ends_where_it_says(newcomer: Operator) -> None:
    """One test, as one day: each step starts from what the last one left."""
    installed = newcomer.do("1. Install")
    assert "no issues" in installed
    assert '"status": "healthy"' in installed
    assert len(newcomer.read("deploy/secrets/secret_key")) == 64

    newcomer.do("2. First login")
    admin = f"{newcomer.served.url}/admin"
    browser = log_in(newcomer.served, "/admin/login/")
    assert "Site administration" in browser.get(f"{admin}/").text

    assert "count" in newcomer.do("3. People and programs")
    _send(
        browser, f"{admin}/auth/user/add/", {"username": "bob", "password1": PASSWORD, "password2": PASSWORD}
    )
    assert "bob" in browser.get(f"{admin}/auth/user/").text

    decided = newcomer.do("4. Data in")
    assert "1 computed for" in decided

    upload_days(browser, admin, newcomer.folder / "days.csv")
    correct_day(browser, admin, "green", "410")
    assert "revision 2" in newcomer.do("5. A wrong day")

    newcomer.do("6. Data out")
    assert re.search(r"green,5000,410,", newcomer.read("button.csv"))
    newcomer.do("7. Back up")
    newcomer.do("8. Upgrade")
    come_from_an_older_version(newcomer.folder / "migrations-before.txt")
    taken_back = newcomer.do("9. Roll back")
    assert "bandit_project.0008_heartbeats" in taken_back.splitlines()
    assert "Unapplying bandit_project.0008_heartbeats" in taken_back
    browser.get(f"{newcomer.served.url}/health").raise_for_status()

    newcomer.do("10. Restore")
    assert newcomer.read("restored.csv") == newcomer.read("button.csv")
    assert "410" in browser.get(f"{admin}/experiments/dailymetric/").text


def test_sqlite__backed_up_while_it_is_used__can_be_restored(
    installed: Installation, django_db_setup: None, tmp_path: Path
) -> None:
    address = sqlite_in(tmp_path)
    key = installed.run("manage", "create_api_key", "shop", DATABASE_URL=address).stdout
    (command,) = blocks("sqlite")

    subprocess.run(
        ["sh", "-c", command.replace("/data/", f"{tmp_path}/")], env=installed.environment, check=True
    )

    restored = f"sqlite:///{tmp_path}/backup.sqlite3"
    count = "from bandit_project.models import ApiKey; print(ApiKey.objects.count())"
    shown = installed.run("manage", "shell", "--no-imports", "--command", count, DATABASE_URL=restored)
    assert key
    assert shown.stdout.strip() == "1"


@pytest.mark.parametrize("language", ["sh", "docker", "sqlite"])
def test_checklist__every_block__parses(language: str) -> None:
    for block in blocks(language):
        subprocess.run(["sh", "-n"], input=block, text=True, check=True)


def test_checklist__fences__are_of_a_kind_that_is_checked() -> None:
    assert set(re.findall(r"^```(\w+)$", CHECKLIST, re.M)) == {"sh", "docker", "sqlite"}


def _backup(operator: Operator, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**operator.served.environment, **variables}
    environment["PATH"] = f"{operator.docker.parent}:{environment['PATH']}"
    return subprocess.run(
        ["deploy/backup.sh", "backups"], cwd=operator.folder, env=environment, capture_output=True, text=True
    )


def _backup_a_second_later(daily: Path) -> None:
    """Let the dump of today look older than the next one, whose name has its second."""
    today = max(daily.iterdir())
    today.rename(today.with_name(f"{today.name[:11]}000000Z.dump"))


def test_backup__each_run__is_a_generation_that_only_its_owner_reads_and_old_ones_go(
    operator: Operator,
) -> None:
    daily = operator.folder / "backups/daily"
    daily.mkdir(parents=True)
    for day in range(1, 5):
        for hour in ("03", "17"):
            (daily / f"2025-09-0{day}T{hour}4000Z.dump").write_text("old")
    _backup(operator)
    _backup_a_second_later(daily)

    result = _backup(operator, KEEP_DAILY="3")

    assert result.returncode == 0, result.stderr
    names = sorted(path.name for path in daily.iterdir())
    assert names[:2] == ["2025-09-03T174000Z.dump", "2025-09-04T174000Z.dump"]
    assert len(names) == 4  # both of today
    newest = daily / names[3]
    assert newest.stat().st_mode & 0o077 == 0
    for folder in ("weekly", "monthly"):
        (kept,) = (operator.folder / "backups" / folder).iterdir()
        assert kept.samefile(newest)


def test_backup__dump_that_breaks_off__fails_and_the_last_one_stays(operator: Operator) -> None:
    assert _backup(operator).returncode == 0
    before = sorted((operator.folder / "backups").rglob("*.dump"))
    cut = operator.docker.read_text().replace('exec "$@"', '"$@" | head -c 3000', 1)
    operator.docker.write_text(cut)

    result = _backup(operator)

    assert result.returncode != 0
    assert sorted((operator.folder / "backups").rglob("*.dump")) == before


@pytest.mark.parametrize("name", ["backup.sh", "certbot-hook.sh", "replace.sh"])
def test_script__of_the_host__is_executable_and_parses(name: str) -> None:
    path = ROOT / "deploy" / name

    assert path.stat().st_mode & 0o111
    subprocess.run(["sh", "-n", path], check=True)


def test_replace__new_app_that_could_not_even_be_made__says_that_the_old_one_serves_on(
    tmp_path: Path,
) -> None:
    docker = tmp_path / "docker"
    docker.write_text(
        '#!/bin/sh\ncase "$*" in\n"compose ps"*) echo old ;;\n"compose up"*) exit 1 ;;\n"rm --force") exit 2 ;;\nesac\n'
    )
    docker.chmod(0o755)

    done = subprocess.run(
        [ROOT / "deploy/replace.sh"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (
        1, "The new app is not healthy and was removed. The old one serves on.\n",
    )  # fmt: skip


def test_certbot_hook__new_certificate__is_copied_readable_and_taken(tmp_path: Path) -> None:
    renewed, docker = tmp_path / "live", tmp_path / "bin/docker"
    for folder in (renewed, docker.parent, tmp_path / "deploy/secrets/certificates"):
        folder.mkdir(parents=True)
    for name in ("fullchain.pem", "privkey.pem"):
        (tmp_path / name).write_text(f"new {name}")
        (renewed / name).symlink_to(tmp_path / name)  # as certbot's folder has them
    docker.write_text('#!/bin/sh\necho "$@" > called\n')
    docker.chmod(0o755)
    hook = shutil.copy2(ROOT / "deploy/certbot-hook.sh", tmp_path / "deploy")

    subprocess.run(
        [hook], env={"PATH": f"{docker.parent}:/usr/bin:/bin", "RENEWED_LINEAGE": str(renewed)}, check=True
    )

    placed = tmp_path / "deploy/secrets/certificates/privkey.pem"
    assert placed.read_text() == "new privkey.pem"
    assert not placed.is_symlink()
    assert placed.stat().st_mode & 0o777 == 0o444
    assert "exec --no-TTY nginx nginx -s reload" in (tmp_path / "called").read_text()
