"""Access to the pages by role."""

import re
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core import mail
from django.test import Client

from experiments.models import Experiment, Status
from tests.factory import allocate, make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

PAGES = ("", "explore/", "traffic/", "history/")


def _client(group: str | None) -> Client:
    client = Client()
    if group:
        user = get_user_model().objects.create_user(group, f"{group}@example.com", "a long password 1")
        user.groups.add(Group.objects.get(name=group))
        client.force_login(user)
    return client


@pytest.fixture
def login_required(settings: Any) -> None:
    settings.DASHBOARD_LOGIN_REQUIRED = True


@pytest.mark.usefixtures("login_required")
def test_page__nobody__leads_to_the_login_and_back() -> None:
    response = Client().get("/dashboard/?status=paused")

    assert response.status_code == 302
    assert response["Location"] == "/accounts/login/?next=/dashboard/%3Fstatus%3Dpaused"
    assert b"Log in" in Client().get(response["Location"]).content


@pytest.mark.usefixtures("login_required")
@pytest.mark.parametrize("group", ["viewer", "analyst", "admin"])
def test_pages__everyone_with_a_login__may_look(group: str) -> None:
    allocate(make_running())
    client = _client(group)

    pages = ["/dashboard/", *(f"/dashboard/experiments/button-colour/{page}" for page in PAGES)]
    assert [client.get(page).status_code for page in pages] == [200] * len(pages)


@pytest.mark.usefixtures("login_required")
@pytest.mark.parametrize(
    ("group", "code", "status"),
    [(None, 302, "active"), ("viewer", 403, "active"), ("analyst", 302, "paused")],
)
def test_action__below_an_analyst__changes_nothing(group: str | None, code: int, status: str) -> None:
    make_running()

    response = _client(group).post("/dashboard/experiments/button-colour/pause/")

    assert response.status_code == code
    assert Experiment.objects.get().status == status


@pytest.mark.usefixtures("login_required")
def test_page__what_a_viewer_may_not_do__is_not_offered() -> None:
    make_running()

    as_viewer = _client("viewer").get("/dashboard/experiments/button-colour/").content
    as_analyst = _client("analyst").get("/dashboard/experiments/button-colour/").content

    assert (b"/pause/" in as_viewer, b"/pause/" in as_analyst) == (False, True)


def test_visitor__without_a_required_login__only_looks_outside_debug(settings: Any) -> None:
    settings.DASHBOARD_LOGIN_REQUIRED, settings.DASHBOARD_VISITOR_ROLE = False, 1
    make_running()

    assert Client().get("/dashboard/").status_code == 200
    assert Client().post("/dashboard/experiments/button-colour/pause/").status_code == 403


def test_action__without_its_token__is_refused() -> None:
    make_running()
    client = Client(enforce_csrf_checks=True)

    assert client.post("/dashboard/experiments/button-colour/pause/").status_code == 403
    assert Experiment.objects.get().status == Status.ACTIVE


def test_password__forgotten__a_link_lets_one_choose_a_new_one() -> None:
    _client("viewer")
    client = Client()

    client.post("/accounts/password_reset/", {"email": "viewer@example.com"})
    path = re.findall(r"/accounts/reset/\S+", str(mail.outbox[0].body))[0]
    form = client.get(path, follow=True)
    new = {"new_password1": "another long one 2", "new_password2": "another long one 2"}
    done = client.post(form.redirect_chain[-1][0], new, follow=True)

    assert b"Password changed" in done.content
    login = client.post("/accounts/login/", {"username": "viewer", "password": "another long one 2"})
    assert login["Location"] == "/dashboard/"


def test_reset_link__expired__offers_a_new_link_and_no_form() -> None:
    response = Client().get("/accounts/reset/MQ/set-password/")

    page = response.content.decode()
    assert "This link is no longer valid" in page
    assert "/accounts/password_reset/" in page
    assert "new_password1" not in page


@pytest.mark.usefixtures("login_required")
@pytest.mark.parametrize(
    ("referer", "back"),
    [
        ("http://testserver/dashboard/experiments/button-colour/data/?page=2",
         "/dashboard/experiments/button-colour/data/%3Fpage%3D2"),
        ("http://evil.example/dashboard/", ""),
        ("http://testserver//evil.example/x", ""),
        ("http://testserver/\\evil.example/x", ""),
        ("http://[", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_post__session_gone__leads_to_the_login_and_back_to_the_page_of_the_form(
    referer: str, back: str
) -> None:
    make_running()

    response = Client(headers={"Referer": referer}).post("/dashboard/experiments/button-colour/pause/")

    assert response["Location"] == f"/accounts/login/?next={back}"


@pytest.mark.usefixtures("login_required")
def test_account__without_a_role__is_informed_on_every_page() -> None:
    client = Client()
    client.force_login(get_user_model().objects.create_user("ann"))

    for path in ("/dashboard/", "/dashboard/experiments/new/"):
        response = client.get(path, headers={"Accept": "text/html"})
        assert response.status_code == 403
        assert "Your account has no role yet" in response.content.decode()
    assert client.get("/dashboard/account/").status_code == 200


@pytest.mark.usefixtures("login_required")
def test_api__account_without_a_role__is_refused(settings: Any) -> None:
    settings.API_KEY_REQUIRED = True
    client = Client()
    client.force_login(get_user_model().objects.create_user("ann"))

    assert client.get("/api/v1/experiments/").status_code == 403


@pytest.mark.usefixtures("login_required")
def test_refusal__below_the_needed_role__names_it() -> None:
    response = _client("viewer").get("/dashboard/experiments/new/", headers={"Accept": "text/html"})

    assert "Ask an administrator for the role Analyst." in response.content.decode()
