"""A computation in several requests: the numbers of one, each within its share of a core, by whom it was begun."""

import io
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from dashboard.lab.parts import COMPUTED
from tests.dashboard.past_tests import MANY_TESTS
from tests.dashboard.streams import messages_of
from tests.experiments.tables.workbooks import workbook

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("visitor")]

LAB = "/dashboard/"
SMALL = "simulator/run/?rates=4+8&daily_traffic=500&days=16&runs=8&scenario=noisy&seed=3&policies=ucb1"
BACKTEST = "backtest/run/"


@pytest.fixture
def one_step_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.lab.parts.SECONDS", 0)


def _sent(path: str, **fields: str) -> dict[str, Any]:
    """Make what a request sends; the backtest's file comes with each."""
    if path != BACKTEST:
        return fields
    file = SimpleUploadedFile("tests.csv", MANY_TESTS.encode(), "text/csv")
    return {"file": file, "days": "4", "runs": "1", "seed": "1", **fields}


def _requests(client: Client, path: str) -> list[dict[str, Any]]:
    """Ask until the result is there; the last message of each request."""
    first = client.post if path == BACKTEST else client.get
    last = [messages_of(first(f"{LAB}{path}", _sent(path)))[-1]]
    while COMPUTED in last[-1]:
        sent = _sent(path, computed=last[-1][COMPUTED])
        last.append(messages_of(client.post(f"{LAB}{path}", sent))[-1])
    return last


@pytest.mark.parametrize(
    "path",
    [
        SMALL,
        f"{SMALL}&stop=on&order_values=50+60",
        "planner/run/?base_rate=10&uplift=50&daily_traffic=400&variants=2&seed=5",
        BACKTEST,
    ],
)
def test_parts__one_step_a_request__come_to_what_one_request_comes_to(
    client: Client, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.lab.planner._MOST_RUNS", 20)
    monkeypatch.setattr("dashboard.lab.parts.SECONDS", 60)
    one = _requests(client, path)
    monkeypatch.setattr("dashboard.lab.parts.SECONDS", 0)

    many = _requests(client, path)

    assert len(one) == 1
    assert len(many) > 15
    assert many[-1] == one[-1]


@pytest.mark.usefixtures("one_step_a_request")
@pytest.mark.parametrize("change", ["seed=4", "a_window_days=7", "runs=9"])
def test_parts__of_another_question__are_refused(client: Client, change: str) -> None:
    computed = messages_of(client.get(f"{LAB}{SMALL}"))[-1][COMPUTED]
    name = change.partition("=")[0]
    other = "&".join([part for part in SMALL.split("&") if not part.startswith(f"{name}=")] + [change])

    assert client.post(f"{LAB}{other}", {COMPUTED: computed}).status_code == 422
    assert client.post(f"{LAB}{SMALL}", {COMPUTED: computed}).status_code == 200


@pytest.mark.usefixtures("one_step_a_request")
@pytest.mark.parametrize("computed", ["", "x", "AAAA:x", "AAAA"])
def test_parts__that_nobody_signed__are_refused(client: Client, computed: str) -> None:
    assert client.post(f"{LAB}{SMALL}", {COMPUTED: computed}).status_code == 422


@pytest.mark.usefixtures("one_step_a_request")
def test_parts__other_settings_of_the_installation_meanwhile__are_refused(
    client: Client, settings: Any
) -> None:
    computed = messages_of(client.get(f"{LAB}{SMALL}"))[-1][COMPUTED]
    settings.ALGORITHM_DEFAULTS = {**settings.ALGORITHM_DEFAULTS, "window_days": 7}

    assert client.post(f"{LAB}{SMALL}", {COMPUTED: computed}).status_code == 422


@pytest.mark.usefixtures("one_step_a_request")
def test_page__without_scripts_and_too_long_for_one_request__says_so(client: Client) -> None:
    page = client.get(f"{LAB}{SMALL.replace('run/', '')}&whole=1")

    assert b"Without JavaScript this takes too long" in page.content
    assert "rows" not in page.context


@pytest.mark.parametrize("path", [SMALL, SMALL.replace("run/", "") + "&whole=1"])
def test_budget__past_it__is_429_for_that_person_alone(client: Client, settings: Any, path: str) -> None:
    settings.THROTTLE_RATES = {**settings.THROTTLE_RATES, "lab": "2/min"}
    quick = path.replace("days=16", "days=2").replace("runs=8", "runs=1")

    answers = [client.get(f"{LAB}{quick}") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 1 <= int(answers[-1]["Retry-After"]) <= 60
    assert f"Try again in {answers[-1]['Retry-After']} seconds." in answers[-1].content.decode()
    assert Client(REMOTE_ADDR="192.0.2.7").get(f"{LAB}{quick}").status_code == 200
    # a look at the form costs nothing
    assert client.get(f"{LAB}simulator/").status_code == 200


def test_budget__of_a_person__follows_the_login_from_address_to_address(
    settings: Any, django_user_model: Any
) -> None:
    settings.THROTTLE_RATES = {**settings.THROTTLE_RATES, "lab": "1/min"}
    person = django_user_model.objects.create_superuser("someone", "someone@example.com", "secret")
    quick = SMALL.replace("days=16", "days=2").replace("runs=8", "runs=1")
    answers = []
    for address in ("192.0.2.1", "192.0.2.2"):
        client = Client(REMOTE_ADDR=address)
        client.force_login(person)
        answers.append(client.get(f"{LAB}{quick}").status_code)

    assert answers == [200, 429]


def test_backtest__first_test_alone_too_much__is_refused_with_what_a_page_computes(client: Client) -> None:
    rows = "".join(f"a,v{n},1000,10\n" for n in range(100))
    text = f"experiment,variant,impressions,clicks\n{rows}"
    file = SimpleUploadedFile("tests.csv", text.encode(), "text/csv")

    page = client.post(f"{LAB}backtest/", {"file": file, "days": "4", "runs": "200", "seed": "1"})

    [message] = page.context["form"].errors["runs"]
    assert message.startswith("A page computes at most ")


def test_backtest__more_rows_than_a_page_reads__is_refused(client: Client) -> None:
    text = io.StringIO()
    text.write("experiment,variant,impressions,clicks\n")
    text.writelines(f"{n // 2},{'ab'[n % 2]},10,1\n" for n in range(20_002))
    file = SimpleUploadedFile("tests.csv", text.getvalue().encode(), "text/csv")

    page = client.post(f"{LAB}backtest/", {"file": file, "days": "2", "runs": "1", "seed": "1"})

    assert page.context["form"].errors["file"] == [
        "the file has more than 20,000 rows, the most of an upload; the command backtest has no such limit"
    ]


def test_backtest__few_rows_and_many_cells__is_refused(client: Client) -> None:
    text = "experiment,variant,impressions,clicks\na,x,10,1\na,y,10,1\n" + "\n" * 502_000

    page = client.post(
        f"{LAB}backtest/",
        {
            "file": SimpleUploadedFile("tests.csv", text.encode(), "text/csv"),
            "days": "2",
            "runs": "1",
            "seed": "1",
        },
    )

    [message] = page.context["form"].errors["file"]
    assert message.startswith("the file has more than 501,250 cells")


def test_backtest__workbook_beyond_the_bounds__is_refused_before_it_is_opened(client: Client) -> None:
    far = '<row r="9000000"><c r="A9000000"><v>1</v></c></row>'
    file = SimpleUploadedFile("tests.xlsx", workbook({"A": []}, sheet1=far))

    page = client.post(f"{LAB}backtest/", {"file": file, "days": "2", "runs": "1", "seed": "1"})

    [message] = page.context["form"].errors["file"]
    assert message.startswith("the workbook is too large")
