"""The Django integration: cookies carry the exposure from worker to worker."""

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from fake_service import FakeService, MakeClient

pytest.importorskip("django")

from bandit_client.django import middleware
from bandit_client.django.middleware import SEEN_COOKIE, UNIT_COOKIE, BanditMiddleware
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template import Context, Engine
from django.test import RequestFactory

if not settings.configured:
    settings.configure(SECRET_KEY="only for tests", ALLOWED_HOSTS=["testserver"])

Page = Callable[[Any], str]
Browse = Callable[..., str]
TAG = '{% load bandit %}{% bandit "hero" as hero %}[{{ hero }}]'
ENGINE = Engine(libraries={"bandit": "bandit_client.django.templatetags.bandit"})


@pytest.fixture
def browse(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> Browse:
    """A browser: each request goes to another worker, and only cookies are kept between them."""
    cookies: dict[str, str] = {}

    def visit(page: Page) -> str:
        worker = make_client()
        monkeypatch.setattr(middleware, "get_client", lambda: worker)
        request = RequestFactory().get("/")
        request.COOKIES.update(cookies)
        answer = BanditMiddleware(lambda request: HttpResponse(page(request)))(request)
        cookies.update({name: morsel.value for name, morsel in answer.cookies.items()})
        worker.flush()
        return answer.content.decode()

    visit.cookies = cookies  # type: ignore[attr-defined]
    return visit


def _shown(request: HttpRequest) -> str:
    return ENGINE.from_string(TAG).render(Context({"request": request}))


def test_tag__first_visitor_of_a_process__sees_a_variant_and_is_counted(
    service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = {"url": service.url, "api_key": "key", "flush_interval": 3600}
    monkeypatch.setattr(settings, "BANDIT", arguments, raising=False)
    middleware._client.cache_clear()

    answer = BanditMiddleware(lambda request: HttpResponse(_shown(request)))(RequestFactory().get("/"))
    middleware.get_client().close()
    middleware._client.cache_clear()

    assert answer.content.decode() in ("[blue]", "[red]")
    assert service.total("impressions") == 1


@pytest.mark.parametrize("length", [256, 6000])
def test_cookie__holds_a_unit_that_is_too_long__is_replaced(browse: Browse, length: int) -> None:
    long_unit = secrets.token_hex(length)[:length]
    browse.cookies[UNIT_COOKIE] = long_unit  # type: ignore[attr-defined]

    assert browse(_shown) in ("[blue]", "[red]")

    assert len(browse.cookies[UNIT_COOKIE]) == 32  # type: ignore[attr-defined]


def test_own_unit__is_longer_than_a_cookie__is_served_and_not_remembered(
    browse: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "BANDIT_UNIT", f"{__name__}._long_unit", raising=False)

    assert browse(_shown) in ("[blue]", "[red]")


_LONG_UNIT = secrets.token_hex(3000)


def _long_unit(request: HttpRequest) -> str:
    return _LONG_UNIT


def test_tag__visitor_comes_back_and_buys__counts_once_each(service: FakeService, browse: Browse) -> None:
    first = browse(_shown)
    assert browse(_shown) == first
    for _ in range(2):
        browse(lambda request: str(request.bandit.click("hero")))
        browse(lambda request: str(request.bandit.conversion("hero", value="9.90")))

    variant = first.strip("[]")
    assert {key[1] for key in service.totals} == {variant}
    assert [service.total(kind) for kind in ("impressions", "clicks", "conversions")] == [1, 1, 1]
    assert service.values == ["9.9000"]


def test_middleware__cookie_was_forged__takes_the_visitor_for_a_new_one(
    service: FakeService, browse: Browse
) -> None:
    browse.cookies[SEEN_COOKIE] = "eyJoZXJvIjpbImJsdWUiXX0:forged"  # type: ignore[attr-defined]

    assert browse(lambda request: str(request.bandit.click("hero"))) == "False"
    assert service.total("clicks") == 0


def test_middleware__page_without_experiment__sets_no_cookie(browse: Browse) -> None:
    browse(lambda request: "")

    assert browse.cookies == {}  # type: ignore[attr-defined]


@pytest.mark.parametrize("nobody", ["not_agreed", "blank_name"])
def test_middleware__own_function_that_names_nobody__shows_the_default(
    browse: Browse, monkeypatch: pytest.MonkeyPatch, nobody: str
) -> None:
    monkeypatch.setattr(settings, "BANDIT_UNIT", f"{__name__}.{nobody}", raising=False)

    assert browse(_shown) == "[control]"
    assert UNIT_COOKIE not in browse.cookies  # type: ignore[attr-defined]


def not_agreed(request: HttpRequest) -> None:
    """A visitor who has not agreed to experiments."""


def blank_name(request: HttpRequest) -> str:
    return " "


def test_tag__no_request__gives_the_default() -> None:
    assert ENGINE.from_string(TAG).render(Context({})) == "[control]"
