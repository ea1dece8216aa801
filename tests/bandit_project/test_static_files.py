"""Static files as production serves them."""

import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.http import HttpResponse
from django.test import RequestFactory, override_settings
from whitenoise.middleware import WhiteNoiseMiddleware

from bandit_project.storage import StaticFiles

pytestmark = pytest.mark.database_free


_STORAGE = {"staticfiles": {"BACKEND": f"{StaticFiles.__module__}.{StaticFiles.__qualname__}"}}


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of our static files, collected as production does; the image of tests/deployment has them all."""
    folder = tmp_path_factory.mktemp("static")
    ours = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    with override_settings(
        STATIC_ROOT=folder, STORAGES={**settings.STORAGES, **_STORAGE}, STATICFILES_FINDERS=ours
    ):
        call_command("collectstatic", interactive=False, verbosity=0)
    return folder


def test_collectstatic__module_that_imports__names_the_hashed_file(collected: Path) -> None:
    page = next(path for path in (collected / "js").glob("page.*.js"))
    imported = re.findall(r'from "\./([^"]+)"', page.read_text())
    assert len(imported) >= 2
    assert all(re.fullmatch(r"\w+\.[0-9a-f]{12}\.js", name) for name in imported)
    assert all((collected / "js" / name).exists() for name in imported)


def test_collectstatic__dry_run__takes_all_but_what_no_page_shows() -> None:
    said = StringIO()

    call_command("collectstatic", interactive=False, dry_run=True, stdout=said)

    assert "swagger-ui-bundle.js'" in said.getvalue()
    assert "redoc" not in said.getvalue()


# An answer that is closed looks after the connections to databases: those that earlier tests have left, too.
@pytest.mark.django_db
def test_sdk__as_production_serves_it__has_a_hashed_name_and_lets_every_origin_in(
    collected: Path, settings: Any
) -> None:
    """A module of another origin is refused by browsers without this header."""
    settings.STATIC_ROOT, settings.DEBUG = collected, False
    settings.STORAGES = {**settings.STORAGES, **_STORAGE}
    hashed = next(path.name for path in (collected / "sdk").glob("bandit.*.js"))

    middleware = WhiteNoiseMiddleware(lambda request: HttpResponse(status=404))
    answer = middleware(RequestFactory().get(f"/static/sdk/{hashed}"))

    assert re.fullmatch(r"bandit\.[0-9a-f]{12}\.js", hashed)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "immutable" in answer.headers["Cache-Control"]
    answer.close()


def test_static_file__not_collected__has_an_address_all_the_same(tmp_path: Path, settings: Any) -> None:
    settings.STATIC_ROOT = tmp_path

    assert StaticFiles().url("css/site.css") == "/static/css/site.css"
