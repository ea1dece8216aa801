"""The backtest command: real tests replayed, and files that are refused. No database."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

pytestmark = pytest.mark.database_free

HEADER = "experiment,variant,impressions,clicks\n"
TWO_TESTS = HEADER + "a,one,5000,200\na,two,5000,300\nb,x,3000,60\nb,y,3000,90\nb,control,3000,30\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "tests.csv"
    path.write_text(text, encoding="utf-8")
    return path


def backtest(path: Path, *options: str) -> str:
    out = io.StringIO()
    call_command("backtest", str(path), *options, stdout=out)
    return out.getvalue()


def test_backtest__json__is_one_object_with_every_policy_asked_for(tmp_path: Path) -> None:
    answer: dict[str, Any] = json.loads(
        backtest(write(tmp_path, TWO_TESTS), "--json", "--policies", "thompson,even")
    )

    assert answer["tests"] == 2
    assert list(answer["policies"]) == ["thompson", "even"]
    assert answer["policies"]["even"]["regret_ratio"] == 1
    thompson = answer["policies"]["thompson"]
    assert thompson["regret_ratio"] == pytest.approx(
        thompson["regret"] / answer["policies"]["even"]["regret"]
    )
    assert 0 < thompson["regret_ratio"] < 0.8
    assert thompson["gain_over_even"] > 0


def test_backtest__without_even__still_compares_with_it(tmp_path: Path) -> None:
    path = write(tmp_path, TWO_TESTS)

    alone = json.loads(backtest(path, "--json", "--policies", "greedy"))["policies"]
    beside = json.loads(backtest(path, "--json", "--policies", "greedy,even"))["policies"]

    assert alone["greedy"] == beside["greedy"]


def test_backtest__text__says_what_was_played(tmp_path: Path) -> None:
    text = backtest(write(tmp_path, TWO_TESTS), "--days", "3", "--runs", "2")

    assert "2 tests, 5 variants, 3 days, 2 runs each, seed 1" in text


def test_backtest__even_split__gains_zero_and_no_minus_zero(tmp_path: Path) -> None:
    path = write(tmp_path, "experiment,variant,impressions,clicks\nh,control,12000,500\nh,b,12000,600\n")

    *_, even, _advice = backtest(path, "--policies", "even", "--days", "7", "--runs", "5").splitlines()

    assert even.split()[3] == "0"


VALUED = (
    "experiment,variant,impressions,conversions,value_sum,value_squares\n"
    "a,one,5000,100,1000,20000\na,two,5000,100,3000,180000\nb,one,5000,90,900,18000\nb,two,5000,100,2000,80000\n"
)


def test_backtest__value__regret_is_in_value(tmp_path: Path) -> None:
    path = write(tmp_path, VALUED)

    text = backtest(path, "--goal", "value_per_impression", "--policies", "even", "--runs", "1")
    answer = json.loads(backtest(path, "--goal", "value_per_impression", "--json", "--runs", "1"))

    assert "regret and gain in value, summed over the tests" in text
    # of 10,000 visits at 0.6 the even split earns 0.4, of as many at 0.4 it earns 0.29: 2,000 + 1,100, and a little
    # less, as the rates are drawn together
    assert 2900 < answer["policies"]["even"]["regret"] < 3100
    assert answer["policies"]["thompson"]["regret_ratio"] < 0.9


def test_backtest__one_test__says_that_it_says_little(tmp_path: Path) -> None:
    text = backtest(write(tmp_path, HEADER + "a,one,5000,200\na,two,5000,300\n"), "--runs", "1")

    assert text.startswith("1 test, 2 variants")
    assert text.endswith("One test says little: do not choose settings by it.\n")


def test_backtest__repeated_rows__are_added_up_when_asked(tmp_path: Path) -> None:
    whole = backtest(write(tmp_path, HEADER + "a,one,5000,200\na,two,5000,300\n"), "--json", "--runs", "1")
    parts = HEADER + "a,one,2000,50\na,two,5000,300\na,one,3000,150\n"

    assert backtest(write(tmp_path, parts), "--json", "--runs", "1", "--repeated", "sum") == whole
    with pytest.raises(
        CommandError, match=r"'one' of 'a' is listed twice; add its rows up into one \(repeated=sum\)"
    ):
        backtest(write(tmp_path, parts))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("a,two,50,100,3000,180000", "conversions 100 exceed impressions 50"),
        ("a,two,5000,100,3000,9e9", "value_squares (9000000000) is too large for a sum of 3000"),
        ("a,two,5000,100,3000,10", "value_squares (10.0) is too small for 100 orders that add up to 3000"),
        ("a,two,5000,100,-1,10", "'-1' is not from 0 to"),
        ("a,two,5000,100,,10", "is blank"),
    ],
)
def test_backtest__values_that_cannot_be__are_refused_with_their_line(
    tmp_path: Path, row: str, words: str
) -> None:
    path = write(tmp_path, VALUED.splitlines()[0] + f"\na,one,5000,100,1000,20000\n{row}\n")

    with pytest.raises(CommandError) as refused:
        backtest(path, "--goal", "value_per_impression")

    assert words in str(refused.value)
    assert str(refused.value).startswith("line 3, ")


def test_backtest__control__comes_first_wherever_it_stands(tmp_path: Path) -> None:
    floor = ["--control-floor", "0.5", "--min-explore-rate", "0", "--max-daily-shift", "1", "--json"]
    last = HEADER + "b,x,300000,6000\nb,control,300000,3000\n"
    first = HEADER + "b,control,300000,3000\nb,x,300000,6000\n"

    # half of the traffic is bound to the control, so the ratio to the even split is one
    assert json.loads(backtest(write(tmp_path, last), *floor)) == json.loads(
        backtest(write(tmp_path, first), *floor)
    )


def test_backtest__tests_without_clicks__have_no_ratio(tmp_path: Path) -> None:
    answer = json.loads(backtest(write(tmp_path, HEADER + "a,x,50,0\na,y,50,0\n"), "--json"))

    assert answer["policies"]["thompson"]["regret_ratio"] is None


@pytest.mark.parametrize(
    "options", [["--no-memory"], ["--no-dispersion"], ["--window-days", "3"], ["--beta-prior", "20"]]
)
def test_backtest__evidence__is_that_of_the_settings(tmp_path: Path, options: list[str]) -> None:
    path = write(tmp_path, TWO_TESTS)
    default, other = (backtest(path, "--days", "20", "--json", *more) for more in ([], options))

    assert other != default
    assert backtest(path, "--days", "20", "--json", "--memory", "--dispersion") == default


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty"),
        (HEADER, "has no rows"),
        (
            "experiment,variant,impressions\na,x,5\n",
            "line 1, 'experiment, variant, impressions', lacks: clicks",
        ),
        (HEADER + "a,x,5,1\na,y,5,6\n", "line 3, clicks: clicks 6 exceed impressions 5"),
        (HEADER + "a,x,5,1\na,y,-5,0\n", "line 3, impressions: '-5' is not from 0 to 1,000,000,000,000"),
        (HEADER + "a,x,5,1\na,y,5.5,0\n", "line 3, impressions: '5.5' is not a whole number"),
        (HEADER + "a,x,5,1\na,y,9999999999999,0\n", "line 3, impressions"),
        (HEADER + "a,x,5,1\na,y,5\n", "line 3, file: has 3 cells, the header has 4"),
        (HEADER + "a,x,5,1\na,x,5,1\n", "is listed twice"),
        (HEADER + "a,x,5,1\n", "experiment a has 1 variants"),
    ],
)
def test_backtest__bad_file__is_refused_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(CommandError) as refusal:
        backtest(write(tmp_path, text))

    assert words in str(refusal.value)


def test_backtest__file_that_is_none__is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read"):
        backtest(tmp_path / "missing.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CommandError, match="line 1 is not text in UTF-16"):
        backtest(tmp_path / "binary.csv")


@pytest.mark.parametrize(
    "options", [["--days", "0"], ["--runs", "x"], ["--window-days", "0"], ["--policies", ""]]
)
def test_backtest__bad_option__is_refused_by_name(tmp_path: Path, options: list[str]) -> None:
    with pytest.raises(CommandError, match=options[0]):
        backtest(write(tmp_path, TWO_TESTS), *options)
