"""Names and descriptions that are markup appear on every page as text, and never as code."""

import html
from html.parser import HTMLParser
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from bandit_project.models import ApiKey, Scope
from notifications.events import EventKind
from notifications.models import Alarm, Endpoint
from notifications.outbox import queue_test
from tests.factory import NOW, allocate, counts, make_experiment, record
from tests.security.access_table import ACCESS
from tests.security.callers import person
from tests.security.names import MARKUP
from tests.security.places import World, make_one_of_each

pytestmark = [pytest.mark.django_db, pytest.mark.database_free, pytest.mark.usefixtures("today")]

_LEFT_OUT = {"admin/logout/", "admin/auth/user/{id}/password/"}


def make_planted_world() -> World:
    """Make a world in which markup is the name of everything that a person or a program can name."""
    experiment = make_experiment(MARKUP, description=MARKUP)
    record(experiment, counts(MARKUP, 10000, 700), counts(f"{MARKUP}b", 10000, 950))
    ApiKey.objects.create_key(name=MARKUP[:50], scope=Scope.READ)
    queue_test(Endpoint.objects.create(name=MARKUP, address=f"https://hooks.example.com/?{MARKUP}"), NOW)
    Alarm.objects.create(
        experiment=experiment, kind=EventKind.LEADER_FOUND, raised_at=NOW, facts={"x": MARKUP}
    )
    make_one_of_each(experiment)
    return World(experiment, allocate(experiment).pk)


class _Planted(HTMLParser):
    """A parser that finds the markup where a browser would make an element of it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("id") == "planted" or given.get("src") == "x" or "onerror" in given:
            self.found.append(tag)


def _planted(page: str) -> list[str]:
    parser = _Planted()
    parser.feed(page)
    return [*parser.found, *(["as written"] if MARKUP in page else [])]


def _text(response: Any) -> str:
    return str((b"".join(response.streaming_content) if response.streaming else response.content).decode())


def test_planted__page_that_does_not_escape__is_found() -> None:
    assert _planted(f"<p>{MARKUP}</p>") == ["img", "b", "as written"]
    assert _planted(f'<script type="application/json">"{MARKUP}"</script>') != []
    assert _planted(f'<p title="{html.escape(MARKUP)}">{html.escape(MARKUP)}</p>') == []


@pytest.mark.parametrize("language", ["en", "pt-br"])
def test_page__everything_named_by_markup__shows_it_as_text(language: str) -> None:
    client, world = person("admin"), make_planted_world()
    client.cookies["django_language"] = language
    pages = {
        row.place: client.get(world.path(row.place), follow=True)
        for row in ACCESS
        if row.method == "GET" and row.sign_in and row.place not in _LEFT_OUT
    }
    texts = {
        place: _text(page) for place, page in pages.items() if page["Content-Type"].startswith("text/html")
    }

    assert {place: found for place, text in texts.items() if (found := _planted(text))} == {}
    # the names are on the pages, as text
    assert sum(html.escape(MARKUP) in text or "onerror=alert" in text for text in texts.values()) > 20


@pytest.mark.parametrize(
    "path", ["?search={}", "?status={}", "experiments/{}/", "simulator/?rates={}", "planner/?base_rate={}"]
)
def test_page__markup_in_the_address__shows_it_as_text(path: str) -> None:
    written = MARKUP.replace("/", "%2F").replace("&", "%26")

    page = person("viewer").get(f"/dashboard/{path.format(written)}", headers={"Accept": "text/html"})

    assert _planted(_text(page)) == []


@pytest.mark.parametrize("action", ["pause", "complete", "duplicate", "archive", "delete", "recompute"])
def test_message__about_something_named_by_markup__shows_it_as_text(action: str) -> None:
    client, world = person("admin"), make_planted_world()
    path = f"/dashboard/experiments/{world.experiment.key}/{action}/"

    page = client.post(path, {"confirm": MARKUP, "name": MARKUP}, follow=True)

    assert _planted(_text(page)) == []


def test_upload__names_and_file_named_by_markup__previews_them_as_text() -> None:
    client, world = person("admin"), make_planted_world()
    rows = "experiment_id,date,variant_name,impressions,clicks\n"
    cell = MARKUP.replace('"', '""')
    rows += f'{world.experiment.pk},2025-08-30,"{cell}",10,1\n{world.experiment.pk},"{cell}","{cell}c",x,1\n'
    path = f"/dashboard/experiments/{world.experiment.key}/data/upload/"

    page = client.post(path, {"file": _file(rows, f"{MARKUP}.csv")}, follow=True)

    assert "onerror" in _text(page)
    assert _planted(_text(page)) == []


def test_backtest__tests_named_by_markup__shows_them_as_text() -> None:
    cell = MARKUP.replace('"', '""')
    rows = "experiment,variant,impressions,clicks\n" + "".join(
        f'"{cell}{n}","{cell}{name}",9000,{200 + 9 * name}\n' for n in range(3) for name in range(2)
    )

    page = _backtest(person("viewer"), rows)
    refused = _backtest(person("analyst"), rows + f'"{cell}","{cell}","{cell}",1\n')

    assert "alert(1)" in page
    assert _planted(page) == _planted(refused) == []


def _backtest(client: Client, rows: str) -> str:
    fields = {"file": _file(rows, "tests.csv"), "days": "14", "runs": "1", "seed": "1"}
    return _text(client.post("/dashboard/backtest/", fields))


def _file(text: str, name: str) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, text.encode(), "text/csv")
