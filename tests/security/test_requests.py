"""Requests that are forged, redirected, replayed or too many, and achieve nothing."""

import re
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from experiments.models import CsvUpload, Experiment
from experiments.rates import shared
from tests.factory import make_running
from tests.security.access_table import ACCESS, Row
from tests.security.callers import person, program
from tests.security.places import World

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

PASSWORD = "a long password 1"
ELSEWHERE = (
    "https://evil.example/", "//evil.example/", "/\\evil.example", "\\\\evil.example", "http:evil.example",
    "javascript:alert(1)", "https:///evil.example", "/\t/evil.example",
)  # fmt: skip


@pytest.fixture(autouse=True)
def as_in_production(settings: Any) -> None:
    settings.API_KEY_REQUIRED = settings.DASHBOARD_LOGIN_REQUIRED = settings.ALLOW_RESET = True


# --- Forged by another site: a session's cookie alone changes nothing ---


def _changes(row: Row) -> bool:
    # an evaluation is a POST that writes nothing
    return row.method != "GET" and not row.place.startswith(("accounts/reset/", "ofrep/"))


@pytest.mark.database_free
def test_write__session_without_its_csrf_token__is_refused_everywhere() -> None:
    client, world = person("admin", enforce_csrf_checks=True), World.make()

    taken = [
        f"{row.method} {row.place}"
        for row in ACCESS
        if _changes(row) and client.generic(row.method, world.path(row.place)).status_code not in {403, 405}
    ]

    assert taken == []
    assert Experiment.objects.count() == 1


@pytest.mark.database_free
def test_login__without_its_csrf_token__is_refused() -> None:
    assert Client(enforce_csrf_checks=True).post("/accounts/login/", {"username": "a"}).status_code == 403


@pytest.mark.database_free
@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_write__token_from_another_origin__is_refused(origin: str) -> None:
    client = person("admin", enforce_csrf_checks=True)
    token = re.findall(
        r'csrfmiddlewaretoken" value="(\w+)"', client.get("/dashboard/experiments/new/").content.decode()
    )[0]

    response = client.post("/accounts/language/", {"csrfmiddlewaretoken": token}, headers={"Origin": origin})

    assert response.status_code == 403


@pytest.mark.parametrize(
    ("site", "origin", "status"),
    [
        ("cross-site", "https://evil.example", 403),
        ("cross-site", "https://app.example", 200),
        ("same-origin", "http://testserver", 200),
        (None, None, 200),
    ],
)
def test_write__no_key_required_and_from_a_page_elsewhere__is_refused(
    settings: Any, site: str | None, origin: str | None, status: int
) -> None:
    settings.API_KEY_REQUIRED, settings.CORS_ALLOWED_ORIGINS = False, ["https://app.example"]
    headers = {"Sec-Fetch-Site": site, "Origin": origin} if site and origin else {}

    assert Client().post("/reset_data", headers=headers).status_code == status
    assert Client().get("/experiments", headers=headers).status_code == 200


# --- Redirects to another site ---


@pytest.mark.database_free
@pytest.mark.parametrize("there", ELSEWHERE)
def test_login__next_is_another_site__leads_to_the_dashboard(there: str) -> None:
    get_user_model().objects.create_user("ann", password=PASSWORD)

    response = Client().post("/accounts/login/", {"username": "ann", "password": PASSWORD, "next": there})

    assert response["Location"] == "/dashboard/"


@pytest.mark.database_free
@pytest.mark.parametrize("there", ELSEWHERE)
@pytest.mark.parametrize("path", ["/accounts/language/", "/accounts/logout/", "/admin/login/"])
def test_redirect__next_is_another_site__stays_here(path: str, there: str) -> None:
    response = person("admin").post(path, {"language": "en", "next": there}, headers={"Referer": there})

    assert "evil" not in response.get("Location", "")
    assert "javascript" not in response.get("Location", "")


@pytest.mark.database_free
def test_redirect__path_of_two_slashes__stays_here() -> None:
    for path in ("//evil.example/", "//evil.example", "/admin//evil.example/", "/dashboard//evil.example"):
        assert not Client().get(path).get("Location", "").startswith("//"), path


# --- Sessions ---


def test_login__session_given_beforehand__is_not_the_one_that_is_logged_in() -> None:
    get_user_model().objects.create_user("ann", password=PASSWORD)
    client = Client()
    client.session.save()
    before = person("viewer").cookies["sessionid"].value
    client.cookies["sessionid"] = before

    client.post("/accounts/login/", {"username": "ann", "password": PASSWORD})

    assert client.cookies["sessionid"].value != before
    attacker = Client()
    attacker.cookies["sessionid"] = before
    assert attacker.get("/dashboard/").status_code == 302


def test_session__logged_out_or_password_changed__is_over() -> None:
    user = get_user_model().objects.create_user("ann", password=PASSWORD)
    one, other = Client(), Client()
    one.force_login(user)
    other.force_login(user)
    taken = Client()
    taken.cookies["sessionid"] = one.cookies["sessionid"].value

    one.post("/accounts/logout/")
    user.set_password("another long one 2")
    user.save()

    assert [client.get("/dashboard/").status_code for client in (taken, other)] == [302, 302]


def test_session_cookie__is_closed_to_scripts_and_to_other_sites() -> None:
    get_user_model().objects.create_user("ann", password=PASSWORD)
    client = Client()

    client.post("/accounts/login/", {"username": "ann", "password": PASSWORD})

    cookie = client.cookies["sessionid"]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")


# --- Guesses at which accounts exist ---


def test_password_reset__known_and_unknown_address__get_the_same_answer() -> None:
    get_user_model().objects.create_user("viewer", "viewer@example.com", PASSWORD)
    client = Client()

    answers = [
        client.post("/accounts/password_reset/", {"email": email}, follow=True)
        for email in ("viewer@example.com", "nobody@example.com")
    ]

    assert answers[0].redirect_chain == answers[1].redirect_chain
    assert _without_tokens(answers[0]) == _without_tokens(answers[1])
    assert [message.to for message in mail.outbox] == [["viewer@example.com"]]


def test_login__known_and_unknown_name__get_the_same_answer() -> None:
    get_user_model().objects.create_user("ann", password=PASSWORD)

    known, unknown = (
        Client().post("/accounts/login/", {"username": name, "password": "wrong"}) for name in ("ann", "bob")
    )

    assert _without_tokens(known).replace("ann", "bob") == _without_tokens(unknown)


def _without_tokens(response: Any) -> str:
    return re.sub(r'csrfmiddlewaretoken" value="\w+"', "", response.content.decode())


# --- Uploads ---


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "..\\..\\boot.ini", "/etc/passwd", "a\x00b.csv", "....//x.csv", "%2e%2e%2fx.csv"],
)
def test_upload__file_named_like_a_path__is_a_name_and_nothing_on_disk(
    name: str, tmp_path: Any, settings: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path
    experiment = make_running()
    client = person("analyst")
    rows = f"experiment_id,date,variant_name,impressions,clicks\n{experiment.pk},2025-08-30,control,10,1\n"

    for path in (f"/dashboard/experiments/{experiment.key}/data/upload/", "/upload-data"):
        file = SimpleUploadedFile("x.csv", rows.encode())
        file.name = name  # set here, because the test's own class would clean it
        assert client.post(path, {"file": file}).status_code in {200, 302}

    kept = CsvUpload.objects.get().name
    assert not re.search(r"[/\\\x00]", kept)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("token", ["..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "%00", "' OR 1=1--"])
def test_preview__token_like_a_path__is_not_found(token: str) -> None:
    experiment = make_running()

    page = person("analyst").get(f"/dashboard/experiments/{experiment.key}/data/upload/{token}/", follow=True)

    assert page.status_code in {200, 404}
    assert "root:" not in page.content.decode()


# --- Floods ---


@pytest.mark.database_free
def test_throttle__each_method_past_its_rate__is_429_for_that_key_alone(settings: Any) -> None:
    settings.THROTTLE_RATES = {"read": "2/min", "write": "1/min"}
    one, other = program("write"), program("read")

    read = [one.get("/api/v1/experiments/") for _ in range(3)][-1]
    written = [one.post("/api/v1/experiments/", {}, content_type="application/json") for _ in range(2)][-1]

    for response in (read, written):
        assert (response.status_code, response["Content-Type"]) == (429, "application/problem+json")
        assert 0 < int(response["Retry-After"]) <= 60
    assert other.get("/api/v1/experiments/").status_code == 200
    shared.clear()
    assert one.get("/api/v1/experiments/").status_code == 200


@pytest.mark.database_free
def test_lab__past_its_rate__is_429_for_that_key_alone_and_holds_up_no_other_call(settings: Any) -> None:
    settings.THROTTLE_RATES = {"read": None, "write": "1/hour", "lab": "2/min"}
    one, other = program("read"), program("read")
    paths, body = ("/api/v1/simulations/", "/api/v1/backtests/"), {"rates": [0.1, 0.2], "days": 1, "runs": 1}

    def ask(client: Any, path: str) -> Any:
        return client.post(path, body, content_type="application/json")

    first, second, third = ask(one, paths[0]), ask(one, paths[1]), ask(one, paths[0])

    assert [first.status_code, second.status_code] == [200, 422]
    assert (third.status_code, third.json()["code"]) == (429, "throttled")
    assert 0 < int(third["Retry-After"]) <= 60
    assert ask(other, paths[0]).status_code == 200
    assert one.get("/api/v1/experiments/").status_code == 200


# Each took between ten seconds and minutes of CPU while the bound counted neither priors nor variants.
@pytest.mark.database_free
@pytest.mark.parametrize(
    "body",
    [
        {"rates": [0.05, 0.06], "days": 100, "runs": 1250},
        {"rates": [0.05, 0.06], "days": 365, "runs": 97, "settings": {"window_days": 365}},
        {"rates": [0.05] * 100, "days": 45, "runs": 10},
        {"rates": [0.05] * 9, "days": 100, "runs": 138, "stop": "value-remaining"},
        {"rates": [0, 0, 0.05], "days": 60, "runs": 40, "stop": "value-remaining", "settings": {"alpha_prior": 0.01}},
        {"rates": [1, 1], "days": 100, "runs": 625, "stop": "value-remaining", "settings": {"beta_prior": 1e-9}},
        {"rates": [0] * 50 + [0.05] * 50, "days": 20, "runs": 10, "stop": "value-remaining"},
        {"rates": [1e-9, 1e-9], "days": 365, "runs": 1, "daily_traffic": 1, "settings": {"min_impressions": 0}},
    ],
)  # fmt: skip
def test_simulation__that_would_hold_a_worker__is_refused_before_it_begins(body: dict[str, Any]) -> None:
    given = {"policies": ["thompson"], **body}

    answer = program("read").post("/api/v1/simulations/", given, content_type="application/json")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["code"] == "too_large"


# --- Headers of every page ---


@pytest.mark.database_free
def test_each_page__its_headers_and_forms__let_no_other_site_use_it() -> None:
    client, world = person("admin"), World.make()

    for row in ACCESS:
        if row.method == "GET":
            response = client.get(world.path(row.place))
            _check_headers(row, response)
            if row.sign_in and "csv" not in row.place:
                moved = response.status_code in {301, 302}
                _check_forms(row, client.get(world.path(row.place), follow=True) if moved else response)


def _check_headers(row: Row, response: Any) -> None:
    """Frames, sniffing and code from elsewhere are forbidden."""
    if row.place in {"metrics", "favicon.ico"}:
        return
    assert response["X-Content-Type-Options"] == "nosniff", row.place
    # the address of a shared report is its secret
    policy = "no-referrer" if row.place == "dashboard/shared/{token}/" else "same-origin"
    assert response["Referrer-Policy"] == policy, row.place
    if response["Content-Type"].startswith("text/html") and response.status_code == 200:
        assert response["X-Frame-Options"] == "DENY", row.place
        policy = response["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-eval" not in policy
        assert "script-src" not in policy, row.place


def _check_forms(row: Row, page: Any) -> None:
    """A form that posts, and no other, carries the token that its post needs."""
    if page["Content-Type"].startswith("text/html"):
        for form in re.findall(r"<form\b[^>]*>.*?</form>", page.content.decode(), re.S):
            is_post = re.match(r"<form[^>]*method=\"post\"", form)
            assert bool(is_post) is ("csrfmiddlewaretoken" in form), (row.place, form[:200])
