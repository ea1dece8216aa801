"""Static files as production serves them."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.http import HttpResponse
from django.test import RequestFactory
from whitenoise.middleware import WhiteNoiseMiddleware

from bandit_project.storage import StaticFiles

pytestmark = pytest.mark.database_free


def test_collectstatic__module_that_imports__names_the_hashed_file(tmp_path: Path, settings: Any) -> None:
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": f"{StaticFiles.__module__}.{StaticFiles.__qualname__}"},
    }

    call_command("collectstatic", interactive=False, verbosity=0)

    page = next(path for path in (tmp_path / "js").glob("page.*.js"))
    imported = re.findall(r'from "\./([^"]+)"', page.read_text())
    assert len(imported) >= 2
    assert all(re.fullmatch(r"\w+\.[0-9a-f]{12}\.js", name) for name in imported)
    assert all((tmp_path / "js" / name).exists() for name in imported)


def test_sdk__as_production_serves_it__has_a_hashed_name_and_lets_every_origin_in(
    tmp_path: Path, settings: Any
) -> None:
    """A module of another origin is refused by browsers without this header."""
    settings.STATIC_ROOT = tmp_path
    storage = f"{StaticFiles.__module__}.{StaticFiles.__qualname__}"
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": storage}}
    settings.DEBUG = False
    call_command("collectstatic", interactive=False, verbosity=0)
    hashed = next(path.name for path in (tmp_path / "sdk").glob("bandit.*.js"))

    middleware = WhiteNoiseMiddleware(lambda request: HttpResponse(status=404))
    answer = middleware(RequestFactory().get(f"/static/sdk/{hashed}"))

    assert re.fullmatch(r"bandit\.[0-9a-f]{12}\.js", hashed)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "immutable" in answer.headers["Cache-Control"]
    answer.close()


def test_static_file__not_collected__has_an_address_all_the_same(tmp_path: Path, settings: Any) -> None:
    settings.STATIC_ROOT = tmp_path

    assert StaticFiles().url("css/site.css") == "/static/css/site.css"
