"""Addresses that show nothing by themselves lead to a page: those of forms, and those without their slash."""

from typing import Any

import pytest
from django.test import Client

from tests.dashboard.clients import client_of
from tests.factory import make_running
from tests.security.access_table import ACCESS
from tests.security.callers import person
from tests.security.places import World

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today", "own_machine")]

_ONE = "/dashboard/experiments/button-colour/"
_LOOKED_AT = {row.place for row in ACCESS if row.method == "GET" and row.sign_in}
_BUTTONS = [
    row.place
    for row in ACCESS
    if row.method == "POST" and row.place.startswith("dashboard/") and row.place not in _LOOKED_AT
]
_HTML = {"Accept": "text/html"}


def test_button__its_address_is_looked_at__leads_to_a_page_of_its_form() -> None:
    client, world = person("admin"), World.make()

    pages = {place: client.get(world.path(place), follow=True, headers=_HTML) for place in _BUTTONS}

    assert len(pages) > 30
    assert {place: page.status_code for place, page in pages.items() if page.status_code != 200} == {}
    assert _not_a_page_of_its_form(world, pages) == {
        # offered where there is something to restore, to undo, to resume or to revoke
        *(f"dashboard/experiments/{{reference}}/{act}/" for act in _NOT_NOW),
        "dashboard/experiments/{reference}/data/columns/forget/",
        "dashboard/experiments/{reference}/report/links/{link_id}/revoke/",
        "dashboard/load-demo/",
        "dashboard/administration/users/{user_id}/reactivate/",
        "dashboard/administration/users/{user_id}/resend/",
        "dashboard/administration/notifications/{channel_id}/deliveries/{delivery_id}/retry/",
    }


_NOT_NOW = (
    "archive",
    "unarchive",
    "start",
    "resume",
    "resume-after-guard",
    "complete/undo",
    "settings/variants/{variant_id}/control",
    "settings/variants/{variant_id}/bring-back",
)


def _not_a_page_of_its_form(world: World, pages: dict[str, Any]) -> set[str]:
    return {place for place, page in pages.items() if f'"{world.path(place)}"' not in page.content.decode()}


@pytest.mark.parametrize(
    ("form", "fields", "page"),
    [
        ("history/notes/", {"date": "2150-01-01", "text": "Sale"}, "history/"),
        ("settings/guards/", {"new-guard-metric": "ctr", "new-guard-max_fall": "0"}, "settings/"),
        ("settings/variants/", {"new-name": ""}, "settings/"),
    ],
)
def test_language__switched_on_a_form_that_was_refused__leads_to_its_page(
    form: str, fields: dict[str, str], page: str
) -> None:
    make_running()
    client = client_of("analyst")
    refused = client.post(f"{_ONE}{form}", fields)
    assert (refused.status_code, refused.context["request"].get_full_path()) == (200, f"{_ONE}{form}")

    switched = client.post("/accounts/language/", {"language": "pt-br", "next": f"{_ONE}{form}"}, follow=True)

    assert switched.redirect_chain[-1] == (f"{_ONE}{page}", 302)
    assert '<html lang="pt-br"' in switched.content.decode()


def test_button__nobody_is_logged_in__leads_to_the_log_in(client: Client, settings: Any) -> None:
    settings.DASHBOARD_LOGIN_REQUIRED = True
    make_running()

    sent = client.get(f"{_ONE}delete/", follow=True)

    assert sent.redirect_chain[-1][0] == f"/accounts/login/?next={_ONE}settings/"


@pytest.mark.parametrize(("method", "path"), [("delete", "/dashboard/"), ("get", "/accounts/logout/")])
def test_other_method__of_a_page__is_refused_by_a_page(client: Client, method: str, path: str) -> None:
    refused = getattr(client, method)(path, headers=_HTML)

    assert (refused.status_code, bool(refused["Allow"])) == (405, True)
    assert "This address only works from a button or a form." in refused.content.decode()


def test_other_method__of_a_page_by_a_program__is_refused_as_a_problem(client: Client) -> None:
    refused = client.delete("/dashboard/")

    assert (refused.status_code, refused["Content-Type"]) == (405, "application/problem+json")
    assert refused.json()["code"] == "method_not_allowed"


# --- without the slash ---


@pytest.mark.parametrize("method", ["get", "head"])
@pytest.mark.parametrize(
    "path",
    ["/dashboard/simulator", _ONE.rstrip("/"), "/dashboard/shared/wrong", "/accounts/password_reset"],
)
@pytest.mark.parametrize("headers", [{}, _HTML])
def test_page__without_its_slash__leads_to_it(
    client: Client, method: str, path: str, headers: dict[str, str]
) -> None:
    sent = getattr(client, method)(f"{path}?a=1&b=%20x", headers=headers)

    assert (sent.status_code, sent["Location"]) == (302, f"{path}/?a=1&b=%20x")


@pytest.mark.parametrize("name", ["50%2541", "a%3Fb", "a%23b", "50%25", "%C3%A9", "x%0Ay"])
def test_page__without_its_slash__keeps_the_signs_of_its_address(client: Client, name: str) -> None:
    sent = client.get(f"/dashboard/experiments/{name}?a=1")

    assert (sent.status_code, sent["Location"]) == (302, f"/dashboard/experiments/{name}/?a=1")


def test_report_link__wrong_and_without_its_slash__says_that_the_link_is_wrong(client: Client) -> None:
    shown = client.get("/dashboard/shared/wrong", follow=True)

    assert shown.status_code == 404
    assert "This link is wrong, has expired or was revoked." in shown.content.decode()


@pytest.mark.parametrize("path", ["/dashboard/nothing", "/admin/nothing", "/dashboard/x.csv"])
def test_page__that_does_not_exist__speaks_of_no_slash(client: Client, path: str) -> None:
    missing = client.get(path, headers=_HTML, follow=True)

    assert "slash" not in missing.content.decode()


def test_page__posted_to_without_its_slash__names_the_address(client: Client) -> None:
    refused = client.post("/dashboard/simulator", headers=_HTML)

    assert refused.status_code == 404
    assert "Send it to /dashboard/simulator/, which ends in a slash." in refused.content.decode()


def test_admin__without_its_slash__leads_to_it() -> None:
    sent = person("admin").get("/admin/experiments")

    assert (sent.status_code, sent["Location"]) == (302, "/admin/experiments/")


def test_admin__address_that_does_not_exist__is_not_found() -> None:
    assert person("admin").get("/admin/nothing").status_code == 404
