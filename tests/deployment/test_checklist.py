"""DEPLOY_CHECKLIST.md, done as it says: its commands in their order, and between them what one clicks."""

import re
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import ROOT
from tests.deployment.installation import Image, Installation, installation, postgresql_program
from tests.deployment.login import PASSWORD, log_in

pytestmark = [pytest.mark.database_free, pytest.mark.xdist_group("deployment")]

CHECKLIST = (ROOT / "DEPLOY_CHECKLIST.md").read_text()
# What the list defines for Docker, for an installation without. Of all it asks only one thing: a password.
_SHELL = """
set -eu
app() {{
    if [ "$*" != "${{*#*createsuperuser}}" ]; then set -- "$@" --noinput; fi
    (cd {image} && {entrypoint} "$@")
}}
database() {{ (export PATH="{programs}:$PATH" PGHOST="{socket}"; "$@"); }}
HOST={host}
KEY=$(cat key 2>/dev/null || true)
{commands}
printf %s "${{KEY:-}}" > key
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

    def do(self, section: str) -> str:
        """All commands of a section; what they print."""
        commands = blocks("sh", section)
        assert commands, section
        script = _SHELL.format(
            image=self.served.image.folder, entrypoint=" ".join(self.served.command()),
            programs=postgresql_program("psql").parent, socket=self.served.database,
            host=f"localhost:{self.served.https}", commands="\n".join(commands),
        )  # fmt: skip
        environment = {
            **self.served.environment,
            "CURL_CA_BUNDLE": str(self.served.certificate),
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
        }
        result = subprocess.run(
            ["sh", "-c", script],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert result.returncode == 0, f"{section}\n{result.stdout}\n{result.stderr}"
        return result.stdout

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()


@pytest.fixture
def operator(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """An installation before its first use."""
    with installation(tmp_path_factory.mktemp("day"), image) as made:
        assert made.run("migrate").returncode == 0
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


def test_an_operators_day__by_the_list_alone__ends_where_it_says(operator: Operator) -> None:
    """One test, as one day: each step starts from what the last one left."""
    installed = operator.do("1. Install")
    assert "no issues" in installed
    assert '"status": "healthy"' in installed
    assert len(operator.read("deploy/secrets/secret_key")) == 64

    operator.do("2. First login")
    admin = f"{operator.served.url}/admin"
    browser = log_in(operator.served, "/admin/login/")
    assert "Site administration" in browser.get(f"{admin}/").text

    assert "count" in operator.do("3. People and programs")
    _send(
        browser, f"{admin}/auth/user/add/", {"username": "bob", "password1": PASSWORD, "password2": PASSWORD}
    )
    assert "bob" in browser.get(f"{admin}/auth/user/").text

    decided = operator.do("4. Data in")
    assert "1 computed for" in decided

    upload_days(browser, admin, operator.folder / "days.csv")
    correct_day(browser, admin, "green", "410")
    assert "revision 2" in operator.do("5. A wrong day")

    operator.do("6. Data out")
    assert re.search(r"green,5000,410,", operator.read("button.csv"))
    operator.do("7. Back up")
    operator.do("8. Upgrade")
    assert "experiments.0002_roles" in operator.read("migrations-before.txt")
    assert "Unapplying experiments.0002" in operator.do("9. Roll back")
    browser.get(f"{operator.served.url}/health").raise_for_status()

    operator.do("10. Restore")
    assert operator.read("restored.csv") == operator.read("button.csv")
    assert "410" in browser.get(f"{admin}/experiments/dailymetric/").text


def test_sqlite__backed_up_while_it_is_used__can_be_restored(installed: Installation, tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/bandit.sqlite3"
    installed.run("migrate", DATABASE_URL=address)
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
