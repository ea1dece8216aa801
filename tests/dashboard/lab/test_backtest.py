"""The backtest's page: the numbers of the command, a recommendation that knows its own noise, files refused by line."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client

from allocation.lab.work import MOST_MICROSECONDS
from tests.dashboard.past_tests import HEADER, MANY_TESTS
from tests.dashboard.streams import messages_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("visitor")]

PAGE = "/dashboard/backtest/"


def posted(client: Client, text: str, path: str = PAGE, **fields: str) -> Any:
    file = SimpleUploadedFile("tests.csv", text.encode())
    return client.post(path, {"file": file, "days": "14", "runs": "1", "seed": "1", **fields})


def test_backtest__nothing_asked__invites_to_the_sample_and_names_its_source(client: Client) -> None:
    page = client.get(PAGE).content.decode()

    assert "Run on sample data" in page
    assert "data-lab-starts" not in page
    for word in ("Upworthy Research Archive", "Matias", "Munger", "Le Quere", "Ebersole", "CC BY 4.0"):
        assert word in page
    assert "data-lab-starts" in client.get(f"{PAGE}?days=14&amp;runs=1&amp;seed=1").content.decode()


def test_backtest__file__numbers_are_those_of_the_command(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "tests.csv"
    path.write_text(MANY_TESTS)
    rows = {row.column.key: row for row in posted(client, MANY_TESTS, policies="top_two").context["rows"]}

    for key, options in {
        "installed": [],
        "cautious": ["--control-floor", "0.2", "--min-explore-rate", "0.1", "--max-daily-shift", "0.1"],
        "boldest": ["--control-floor", "0", "--min-explore-rate", "0.01", "--exploitation", "4"],
    }.items():
        out = io.StringIO()
        call_command("backtest", str(path), "--runs", "1", "--json", *options, stdout=out)
        expected = json.loads(out.getvalue())["policies"]["thompson"]
        assert rows[key].result.regret == expected["regret"]
        assert rows[key].result.gain_over_even == expected["gain_over_even"]
        assert rows[key].ratio.value == pytest.approx(expected["regret_ratio"])
    assert list(rows) == ["cautious", "installed", "bolder", "boldest", "even", "top_two"]


def test_backtest__clear_case__recommends_the_least_regret_and_how_to_set_it(client: Client) -> None:
    context = posted(client, MANY_TESTS).context

    regrets = {row.column.key: row.result.regret for row in context["rows"]}
    assert context["best"].key == min(regrets, key=lambda key: regrets[key]) == "boldest"
    assert context["sentences"][0].startswith("Most aggressive performs best: ")
    assert "clicks more (±" in context["sentences"][1]
    assert context["best"].variables == "CONTROL_FLOOR=0\nMIN_EXPLORE_RATE=0.01\nEXPLOITATION=4"


def test_backtest__even_split__gains_nothing_over_itself(client: Client) -> None:
    """Its clicks are drawn too, so that the measured difference is a matter of chance: not of interest."""
    page = posted(client, MANY_TESTS).content.decode()

    row = re.search(r"<tr[^>]*>(?:(?!</tr>).)*Even split.*?</tr>", page, re.DOTALL)
    assert row is not None
    cell = re.search(r'data-label="Extra vs even split">(.*?)</td>', row[0], re.DOTALL)
    assert cell is not None
    assert cell[1].split() == ["0"]


def test_backtest__nothing_to_tell_apart__says_no_clear_difference(client: Client) -> None:
    """No variant is better by more than chance: the winner wins by luck."""
    same = HEADER + "".join(
        f"t{n},a,4000,{200 + n % 2}\nt{n},b,4000,{200 + (n + 1) % 2}\n" for n in range(12)
    )

    context = posted(client, same, seed="3").context

    assert {row.is_best or row.is_level for row in context["rows"] if row.column.is_service} == {True}
    assert context["sentences"][1].startswith(("No clear difference", "These are the current"))


def test_backtest__a_single_test__has_no_interval(client: Client) -> None:
    page = posted(client, HEADER + "a,one,5000,200\na,two,5000,300\n")

    assert "inf" not in page.content.decode().lower().replace("info", "")
    assert page.context["chart"].series[0].low == [page.context["rows"][0].gain.value, None, None, None]


def test_backtest__a_single_test__recommends_nothing(client: Client) -> None:
    shown = posted(client, HEADER + "a,one,5000,200\na,two,5000,300\n")

    page = shown.content.decode()
    assert "No recommendation from one test" in page
    assert "Recommended:" not in page
    assert shown.context["sentences"][-1].startswith("One test says little")
    assert not any(row.is_best for row in shown.context["rows"])
    assert "/dashboard/use-settings/" not in shown.content.decode()


def test_backtest__values__are_spoken_of_as_value(client: Client) -> None:
    header = "experiment,variant,impressions,conversions,value_sum,value_squares\n"
    rows = "".join(f"t{n},one,5000,100,1000,20000\nt{n},two,5000,100,3000,180000\n" for n in range(3))

    shown = posted(client, header + rows, goal="value_per_impression")

    page = shown.content.decode()
    assert "of the regret of an even split, a value of +" in page
    assert "value lost" in page
    assert "clicks" not in shown.context["chart"].title.lower()
    # 2% buy, for 10 and for 30 on average: 0.2 and 0.6 of a visit
    assert 0.2 < shown.context["best_tests"][0].mean_rate < 0.6


def test_backtest__value_without_a_file__asks_for_one(client: Client) -> None:
    page = client.get(f"{PAGE}?days=14&runs=1&seed=1&goal=value_per_impression").content.decode()

    assert "The sample has clicks and no values: choose a file of your own." in page


def test_backtest__no_clicks_at_all__has_nothing_to_save(client: Client) -> None:
    context = posted(client, HEADER + "a,x,50,0\na,y,50,0\n").context

    assert context["sentences"] == ["An even split lost no clicks in these tests: there was nothing to gain."]


def test_backtest__own_settings__play_beside_the_others(client: Client) -> None:
    rows = posted(client, MANY_TESTS, a_window_days="3").context["rows"]

    own = next(row.column for row in rows if row.column.key == "own")
    assert (own.name, own.settings.window_days) == ("Custom settings", 3)


def test_backtest__every_test__is_in_the_file_in_the_order_given(client: Client) -> None:
    chart = posted(client, MANY_TESTS).context["every_test"]

    assert list(chart.x) == [f"t{n}" for n in range(30)]
    assert [series.name for series in chart.series] == [
        "Variants", "Impressions", "Regret of an even split", "Cautious", "Current", "Aggressive", "Most aggressive",
    ]  # fmt: skip
    assert chart.series[1].values[1] == 18_020


def test_backtest__best_and_worst_tests__by_what_was_gained(client: Client) -> None:
    context = posted(client, MANY_TESTS).context

    most, least = ([row.gain for row in context[name]] for name in ("best_tests", "worst_tests"))
    assert most == sorted(most, reverse=True)
    assert least == sorted(least)
    assert len(most) == len(least) == 8
    assert least[-1] <= most[-1]


def test_backtest__more_than_a_page_computes__plays_the_first_and_says_so(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.lab.backtest.MOST_MICROSECONDS", MOST_MICROSECONDS / 38)
    large = HEADER + "".join(f"t{n},a,900,20\nt{n},b,900,30\n" for n in range(300))

    page = posted(client, large, runs="5")

    assert len(page.context["backtest"].tests) == 5
    assert b"These are the first of 300" in page.content


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["no line names all the columns experiment, variant, impressions, clicks"]),
        (HEADER, ["the file has no rows"]),
        (
            HEADER + "a,x,5,1\na,y,5,6\nb,x,-1,0\n",
            ["Line 3, clicks: clicks 6 exceed impressions 5", "Line 4, impressions: '-1' is not from 0 to"],
        ),
        (HEADER + "a,x,5,1\n", ["Line 2, variant: experiment a has 1 variants"]),
        (HEADER + "a,<b>,5,1\na,<b>,5,1\n", ["Line 3, variant: '<b>' of 'a' is listed twice"]),
    ],
)
def test_backtest__wrong_file__is_refused_by_line_and_column(
    client: Client, text: str, words: list[str]
) -> None:
    # an empty upload is none for Django, and none is the sample
    page = posted(client, text or "x\n")

    errors = page.context["form"].errors["file"]
    assert [error.startswith(word) for error, word in zip(errors, words, strict=True)] == [True] * len(words)
    assert "<b>" not in page.content.decode()
    assert posted(client, text or "x\n", f"{PAGE}run/").status_code == 422


def test_backtest__file_that_is_no_text__is_refused(client: Client) -> None:
    file = SimpleUploadedFile("tests.csv", b"\x89PNG\x00\x01")

    page = client.post(PAGE, {"file": file})

    assert page.context["form"].errors["file"][0].startswith("the file is neither UTF-8 nor Windows-1252")


def test_run__file__streams_the_result_that_the_page_shows(client: Client) -> None:
    *_progress, last = messages_of(posted(client, MANY_TESTS, f"{PAGE}run/"))

    page = posted(client, MANY_TESTS).content.decode()
    assert "".join(last["html"].split()) in "".join(page.split())


def test_run__without_its_token__is_refused() -> None:
    client = Client(enforce_csrf_checks=True)

    assert posted(client, MANY_TESTS, f"{PAGE}run/").status_code == 403
