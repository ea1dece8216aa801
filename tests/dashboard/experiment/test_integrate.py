"""Code for one experiment: it names what is the experiment's own, and every line of it runs."""

import datetime as dt
import json
import re
import subprocess
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from allocation.services import compute_allocation
from bandit_project.administration.keys import create_key
from bandit_project.models import AdministrationChange, ApiKey, Scope
from dashboard.experiment.integrate.calls import ago
from dashboard.experiment.integrate.snippets import PLACEHOLDER, FilledWay, filled_ways
from experiments.models import DailyMetric, Experiment, Status
from experiments.selectors import today
from experiments.services import create_experiment
from tests.dashboard.clients import client_of
from tests.factory import NOW, TODAY, make_experiment, make_running

# A name that ends strings and elements wherever it is not written as a literal.
AWKWARD = """b'l"u\\e </script> $(date) ação"""
_PAGE = "/dashboard/experiments/button-colour/integrate/"


def _texts(ways: list[FilledWay]) -> dict[str, str]:
    return {s.recipe.name: s.text for way in ways for s in way.snippets}


@pytest.mark.django_db
@pytest.mark.usefixtures("today")
def test_page__viewer__sees_the_code_with_this_address_and_experiment_and_no_button(settings: Any) -> None:
    settings.API_KEY_REQUIRED = True
    make_running()

    page = client_of("viewer").get(_PAGE, headers={"host": "testserver"}).content.decode()

    assert "http://testserver/ofrep/v1/evaluate/flags/button-colour" in page
    assert PLACEHOLDER in page
    assert "Ask an administrator for a key" in page
    assert "Create a key for browsers" not in page


@pytest.mark.django_db
@pytest.mark.usefixtures("today")
def test_page__calls_need_no_key__names_none_in_the_code(settings: Any) -> None:
    settings.API_KEY_REQUIRED = False
    make_running()

    page = client_of("viewer").get(_PAGE).content.decode()

    assert "This installation takes calls without a key." in page
    assert PLACEHOLDER not in page
    assert "Needs a key" not in page
    assert "Api-Key" not in page


@pytest.mark.django_db
@pytest.mark.usefixtures("today")
def test_key__made_by_an_admin__is_shown_once_and_filled_in(client: Client) -> None:
    make_running()
    admin = client_of("admin")

    response = admin.post(_PAGE, {"scope": "serve"})

    secret = response.context["secret"]
    assert ApiKey.objects.get_from_key(secret)
    key = ApiKey.objects.get()
    assert (key.scope, key.created_by) == (Scope.SERVE, "admin")
    assert secret in response.content.decode()
    assert response["Cache-Control"] == "no-store"
    assert AdministrationChange.objects.get().facts == {"scope": "serve"}
    assert secret not in admin.get(_PAGE).content.decode()


@pytest.mark.django_db
@pytest.mark.usefixtures("today")
@pytest.mark.parametrize("scope", ["admin", "read", "", "nonsense"])
def test_key__scope_that_the_page_does_not_offer__makes_none(scope: str) -> None:
    make_running()

    assert client_of("admin").post(_PAGE, {"scope": scope}).status_code == 200
    assert not ApiKey.objects.exists()


@pytest.mark.django_db
@pytest.mark.usefixtures("today")
def test_key__analyst__is_refused() -> None:
    make_running()

    assert client_of("analyst").post(_PAGE, {"scope": "serve"}).status_code == 403
    assert not ApiKey.objects.exists()


@pytest.mark.django_db
def test_snippets__key_that_writes__is_never_put_into_a_page_for_browsers() -> None:
    experiment = make_running()

    ways = filled_ways(experiment, url="https://x", today=TODAY, secret="SECRET", scope=Scope.WRITE)

    for way in ways:
        for snippet in way.snippets:
            assert ("SECRET" in snippet.text) is not snippet.recipe.in_browser, snippet.recipe.name


@pytest.mark.django_db
def test_snippets__key_for_browsers__stands_only_where_it_is_enough() -> None:
    texts = _texts(
        filled_ways(make_running(), url="https://x", today=TODAY, secret="SECRET", scope=Scope.SERVE)
    )

    without = {name for name, text in texts.items() if "SECRET" not in text}
    assert without == {"shares.sh", "day.sh", "day.py"}


@pytest.mark.django_db
@pytest.mark.usefixtures("today", "own_machine")
@pytest.mark.parametrize(
    ("status", "said"),
    [(Status.DRAFT, "is a draft"), (Status.COMPLETED, "has ended"), (Status.ACTIVE, "")],
)
def test_page__status__says_what_calls_are_answered(client: Client, status: Status, said: str) -> None:
    Experiment.objects.filter(pk=make_running().pk).update(status=status)

    refusal = client.get(_PAGE).context["refusal"]

    assert said in refusal
    assert bool(refusal) is bool(said)


@pytest.mark.django_db
@pytest.mark.usefixtures("today", "own_machine")
def test_last_calls__data_and_keys__are_reported_to_the_minute(client: Client) -> None:
    experiment = make_running()
    DailyMetric.objects.update(updated_at=NOW - dt.timedelta(minutes=3, seconds=20))
    for name, used in (("old", NOW - dt.timedelta(hours=5)), ("shop", NOW), ("idle", None)):
        key, _secret = create_key(name=name, scope=Scope.SERVE, days=None, now=NOW)
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=used)
    revoked, _secret = create_key(name="gone", scope=Scope.SERVE, days=None, now=NOW)
    ApiKey.objects.filter(pk=revoked.pk).update(revoked=True)

    calls = client.get(_PAGE).context["calls"]

    assert calls.data == "3 minutes ago"
    assert [(key.name, key.ago) for key in calls.keys] == [
        ("shop", "less than a minute ago"),
        ("old", "5 hours ago"),
        ("idle", ""),
    ]
    assert experiment.key in client.get(_PAGE).content.decode()


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "less than a minute ago"), (60, "1 minute ago"), (7200, "2 hours ago"), (200_000, "2 days ago")],
)
def test_ago__whole_units__are_counted_down(seconds: int, said: str) -> None:
    assert ago(NOW - dt.timedelta(seconds=seconds), NOW) == said


@pytest.mark.django_db
@pytest.mark.usefixtures("today", "own_machine")
def test_page__twelve_variants__asks_at_most_twelve_queries(
    client: Client, django_assert_max_num_queries: Any
) -> None:
    make_experiment()
    with django_assert_max_num_queries(12):
        response = client.get(_PAGE)
    assert len(response.content) < 400_000


# --- every line runs ---


@pytest.fixture
def open_shop(transactional_db: None, settings: Any) -> Experiment:
    """An experiment of an installation that takes calls without a key, such as the demo."""
    settings.API_KEY_REQUIRED = False
    return create_experiment(name="Hero", variants=["control", AWKWARD], now=timezone.now())


@pytest.fixture
def shop(transactional_db: None, settings: Any) -> Experiment:
    settings.API_KEY_REQUIRED = True
    return create_experiment(name="Hero", variants=["control", AWKWARD], now=timezone.now())


def _filled(experiment: Experiment, live_server: Any) -> dict[str, str]:
    """The snippets with the keys that they need."""
    texts: dict[str, str] = {}
    for scope in (Scope.WRITE, Scope.SERVE):
        _key, secret = create_key(name=scope, scope=scope, days=None, now=timezone.now())
        ways = filled_ways(experiment, url=live_server.url, today=today(), secret=secret, scope=scope)
        texts |= {s.recipe.name: s.text for way in ways for s in way.snippets if s.has_key}
    return texts


def _counts(experiment: Experiment) -> dict[str, tuple[int, int, int]]:
    rows = DailyMetric.objects.filter(variant__experiment=experiment, impressions__gt=0)
    return {
        name: (impressions, clicks, conversions)
        for name, impressions, clicks, conversions in rows.values_list(
            "variant__key", "impressions", "clicks", "conversions"
        )
    }


def _shell(text: str) -> str:
    done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.database_free
def test_snippets__curl__get_a_variant_and_count_what_comes(shop: Experiment, live_server: Any) -> None:
    texts = _filled(shop, live_server)

    found = json.loads(_shell(texts["evaluate.sh"]))
    assert (found["key"], found["value"] in {"control", AWKWARD}) == ("hero", True)

    _shell(texts["count.sh"])
    assert _counts(shop) == {AWKWARD: (1, 0, 0)}

    _shell(texts["day.sh"])
    assert _counts(shop) == {"control": (1000, 50, 5), AWKWARD: (1000, 60, 5)}

    compute_allocation(experiment_id=shop.pk, target_date=today(), now=timezone.now())
    variants = json.loads(_shell(texts["shares.sh"]))["shares"]
    assert {variant["variant_key"] for variant in variants} == {"control", AWKWARD}


@pytest.mark.database_free
def test_snippets__python__get_a_variant_and_count_what_comes(shop: Experiment, live_server: Any) -> None:
    texts = _filled(shop, live_server)

    names: dict[str, Any] = {}
    exec(texts["client.py"], names)  # noqa: S102  # our own text, which people copy
    names["client"].close()
    assert _counts(shop) == {names["variant"]: (1, 1, 1)}

    exec(texts["day.py"], {})  # noqa: S102
    assert _counts(shop) == {"control": (1000, 50, 5), AWKWARD: (1000, 60, 5)}


@pytest.mark.database_free
def test_snippets__openfeature_in_python__counts_the_visitor(shop: Experiment, live_server: Any) -> None:
    names: dict[str, Any] = {}
    exec(_filled(shop, live_server)["openfeature.py"], names)  # noqa: S102
    names["api"].shutdown()
    names["api"].clear_providers()

    assert _counts(shop) == {names["variant"]: (1, 0, 0)}


@pytest.mark.database_free
def test_snippets__curl_is_refused__shows_why(shop: Experiment, live_server: Any) -> None:
    texts = _texts(filled_ways(shop, url=live_server.url, today=today()))

    done = subprocess.run(["bash", "-c", texts["shares.sh"]], capture_output=True, text=True, timeout=60)

    assert done.returncode == 22
    assert json.loads(done.stdout)["code"] == "invalid_api_key"


@pytest.mark.database_free
def test_snippets__calls_need_no_key__run_without_one(open_shop: Experiment, live_server: Any) -> None:
    texts = _texts(filled_ways(open_shop, url=live_server.url, today=today(), no_key=""))

    _shell(texts["evaluate.sh"])
    _shell(texts["count.sh"])
    assert _counts(open_shop) == {AWKWARD: (1, 0, 0)}
    exec(texts["day.py"], {})  # noqa: S102
    _shell(texts["day.sh"])
    names: dict[str, Any] = {}
    exec(texts["client.py"], names)  # noqa: S102
    names["client"].close()
    assert sum(impressions for impressions, _clicks, _conversions in _counts(open_shop).values()) == 2001
    compute_allocation(experiment_id=open_shop.pk, target_date=today(), now=timezone.now())
    _shell(texts["shares.sh"])
    assert "apiKey" not in texts["page.html"]
    assert "headers" not in texts["openfeature.js"]


@pytest.mark.django_db
def test_integrate__names__are_those_that_code_uses() -> None:
    experiment = create_experiment(name="Hero", variants=["control", *(f"v{n}" for n in range(9))], now=NOW)

    html = client_of("viewer").get(f"/dashboard/experiments/{experiment.key}/integrate/").content.decode()

    names = html.partition('id="names-title"')[2].partition("</dl>")[0]
    assert re.findall(r"<code[^>]*>(.*?)</code>", names) == ["hero", "control", *(f"v{n}" for n in range(7))]
    assert "and 2 more" in names
