"""Forms whose answer shows a secret: a reload of the answer sends them again, and makes no second one."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client

from bandit_project.models import ApiKey
from dashboard.models import ReportLink
from notifications.models import Endpoint
from tests.dashboard.clients import client_of
from tests.factory import make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

_ADMINISTRATION = "/dashboard/administration/"
_KEYS = f"{_ADMINISTRATION}keys/"
_ONE = "/dashboard/experiments/button-colour/"
_OF_FORM = "csrfmiddlewaretoken"
_KEY = {"name": "shop", "scope": "read", "days": "", _OF_FORM: "a"}
_SAID = "This form was sent before, and nothing was made again."


@pytest.fixture
def admin() -> Client:
    make_running()
    return client_of("admin")


_WEBHOOK = {
    "name": "ops",
    "channel": "webhook",
    "address": "https://hooks.example.com/x",
    "language": "en",
    _OF_FORM: "a",
}
_FORMS: dict[str, tuple[str, dict[str, str], Callable[[], int]]] = {
    "key": (_KEYS, _KEY, ApiKey.objects.count),
    "key of an experiment": (f"{_ONE}integrate/", {"scope": "serve", _OF_FORM: "a"}, ApiKey.objects.count),
    "link to a report": (f"{_ONE}report/", {"days": "7", _OF_FORM: "a"}, ReportLink.objects.count),
    "invitation": (
        f"{_ADMINISTRATION}users/",
        {"email": "ann@example.com", "name": "Ann", "role": "analyst", _OF_FORM: "a"},
        lambda: User.objects.count() - 1,
    ),
    "webhook": (f"{_ADMINISTRATION}notifications/new/", _WEBHOOK, Endpoint.objects.count),
}


@pytest.mark.parametrize("form", _FORMS)
def test_form__sent_again_by_a_reload__makes_nothing_and_says_so(admin: Client, form: str) -> None:
    address, fields, number = _FORMS[form]

    answer = admin.post(address, fields)
    again = admin.post(address, fields, follow=True)

    assert (answer.status_code, number()) == (200, 1)
    assert again.redirect_chain == [(address, 302)]
    assert _SAID in again.content.decode()


def test_secret_of_a_webhook__renewed_and_reloaded__stays(admin: Client) -> None:
    admin.post(f"{_ADMINISTRATION}notifications/new/", _WEBHOOK)
    address = f"{_ADMINISTRATION}notifications/{Endpoint.objects.get().pk}/"

    admin.post(f"{address}secret/", {_OF_FORM: "b"})
    renewed = Endpoint.objects.get().secret
    again = admin.post(f"{address}secret/", {_OF_FORM: "b"}, follow=True)

    assert Endpoint.objects.get().secret == renewed
    assert again.redirect_chain[-1] == (address, 302)
    assert renewed not in again.content.decode()


def test_invitation__sent_anew_and_reloaded__is_mailed_once(admin: Client) -> None:
    admin.post(f"{_ADMINISTRATION}users/", _FORMS["invitation"][1])
    address = f"{_ADMINISTRATION}users/{User.objects.get(email='ann@example.com').pk}/resend/"

    for _twice in range(2):
        admin.post(address, {_OF_FORM: "b"})

    assert len(mail.outbox) == 2


@pytest.mark.parametrize("other", [{"name": "till"}, {_OF_FORM: "b"}])
def test_form__another_one__is_taken(admin: Client, other: dict[str, str]) -> None:
    admin.post(_KEYS, _KEY)

    made = admin.post(_KEYS, _KEY | other)

    assert (made.status_code, ApiKey.objects.count()) == (200, 2)


def test_form__refused_and_sent_again__is_refused_for_the_same_reason(admin: Client) -> None:
    answers = [admin.post(_KEYS, _KEY | {"name": ""}) for _twice in range(2)]

    assert [bool(answer.context["form"].errors) for answer in answers] == [True, True]


def test_session__after_a_key_was_made__does_not_hold_its_secret(admin: Client) -> None:
    made = admin.post(_KEYS, _KEY)

    kept: dict[str, Any] = dict(admin.session)
    assert made.context["secret"] not in str(kept)


def test_form__in_a_browser__has_another_token_each_time_it_is_shown(admin: Client) -> None:
    tokens = {str(admin.get(_KEYS).context["csrf_token"]) for _thrice in range(3)}

    assert len(tokens) == 3
