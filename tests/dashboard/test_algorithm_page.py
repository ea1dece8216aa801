"""The algorithm's page: every setting from the one table, and the document as safe HTML."""

from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from dashboard.algorithm_page import how_it_decides, setting_rows, to_html
from dashboard.settings.forms import SettingsForm
from dashboard.settings.labels import (
    format_range,
    format_value,
    in_environment,
)
from experiments.settings_schema import ALGORITHM_SETTINGS, SETTINGS_ON_PAGES

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("visitor")]


def test_algorithm__every_setting__has_words_range_default_and_variable(client: Client) -> None:
    page = client.get("/dashboard/algorithm/").content.decode()

    assert {setting.name for setting in SETTINGS_ON_PAGES} == ALGORITHM_SETTINGS.keys()
    for setting in ALGORITHM_SETTINGS.values():
        assert f"<code>{setting.variable}={in_environment(setting.default)}</code>" in page
        assert f'id="setting-{setting.name}"' in page


def test_setting_rows__changed_in_this_installation__are_marked(settings: Any) -> None:
    settings.ALGORITHM_DEFAULTS = {**settings.ALGORITHM_DEFAULTS, "window_days": 30}

    rows = {row["name"]: row for row in setting_rows()}

    assert (rows["window_days"]["value"], rows["window_days"]["default"]) == ("30 days", "all data")
    assert [name for name, row in rows.items() if row["is_changed"]] == ["window_days"]


def test_setting_rows__stand_in_the_order_of_the_forms() -> None:
    fields = [item["field"].name for _legend, items, _folded in SettingsForm().groups for item in items]

    assert [row["name"] for row in setting_rows()] == fields


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("alpha_prior", "Above 0, at most 1,000,000."),
        ("max_daily_shift", "From 0.01% to 100%. In steps of 0.01%."),
        ("window_days", "A whole number from 1 to 365 days."),
        ("day_adjustment", "On or off."),
        ("min_impressions", "A whole number from 0 to 1,000,000,000 impressions."),
    ],
)
def test_range_words__each_kind(name: str, words: str) -> None:
    assert format_range(ALGORITHM_SETTINGS[name]) == words


def test_value_words__in_portuguese__have_a_comma() -> None:
    with translation.override("pt-br"):
        assert format_value("control_floor", 0.075) == "7,5%"
        assert format_value("alpha_prior", 1_000_000) == "1.000.000"
    assert [format_value("day_adjustment", value) for value in (True, False)] == ["on", "off"]
    assert [format_value("alpha_prior", value) for value in (1.0, 1e-05)] == ["1", "0.00001"]


def test_how_it_decides__document__has_anchors_and_tables(client: Client) -> None:
    chapter = how_it_decides()

    assert chapter.language == "en"
    assert [entry["id"] for entry in chapter.contents][:2] == ["in-brief", "the-model"]
    assert '<div id="the-model">' in chapter.html
    assert chapter.html.count('<div class="table-responsive"') == chapter.html.count("</table>") >= 2
    assert "<h1" not in chapter.html
    assert "benchmarks/README.md" in chapter.html
    assert "href=" not in chapter.html.replace('href="https://', "")
    assert chapter.html in client.get("/dashboard/algorithm/").content.decode()


@pytest.mark.parametrize("language", ["en", "pt-br"])
def test_how_it_decides__every_formula__is_typeset(language: str) -> None:
    with translation.override(language):
        chapter = how_it_decides()

    assert chapter.language == language
    assert chapter.html.count('<math display="block">') == chapter.html.count('<div class="formula"') > 20
    assert chapter.html.count('<math display="inline">') > 50
    assert not {"\\", "$", "`"} & set(chapter.html)


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "some <b onclick=alert(1)>bold</b> text",
        "[link](javascript:alert(1))",
        "<img src=x onerror=alert(1)>",
        "| a |\n|---|\n| <script>x</script> |",
        "![picture](javascript:alert(1))",
    ],
)
def test_to_html__html_in_the_text__stays_text(text: str) -> None:
    html, _contents = to_html(text)

    for dangerous in ("<script", "<b ", "<img src=x", 'href="javascript', 'src="javascript'):
        assert dangerous not in html


def test_to_html__parts__are_folded_under_their_headings_but_for_the_first() -> None:
    html, contents = to_html("Before.\n\n## Brief\n\nShort.\n\n## Long\n\nMuch.\n\nMore.")

    first, second = html.split("<details")[1:]
    assert html.startswith("<p>Before.</p>")
    assert 'open="open"' in first
    assert "open" not in second
    assert [entry["id"] for entry in contents] == ["brief", "long"]
    assert '<summary><h2>Long</h2>\n</summary><div id="long">' in second
    assert second.index("Much.") < second.index("More.") < second.index("</details>")


def test_to_html__link_to_another_file__is_its_words() -> None:
    html, _contents = to_html("see [the figures](../benchmarks/README.md) and [more](https://example.com/)")

    assert "<cite>the figures</cite>" in html
    assert '<a href="https://example.com/">more</a>' in html
