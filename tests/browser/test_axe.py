"""Axe finds each text that is too pale, although it computes the contrast of texts that look alike only once."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.accessibility import WCAG
from tests.browser.axe import run_axe

_CONTRAST = {"type": "rule", "values": ["color-contrast"]}
_STYLE = "<style>p { color: #aaa } .dark { background: #000 } .gone { display: none }</style>"
_LEGIBLE = '<div class="dark"><p>Legible</p></div>'


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


def _found(page: Page, html: str) -> list[str]:
    """Elements of which axe says that their contrast is too low."""
    page.set_viewport_size({"width": 1440, "height": 900})
    page.set_content(f'<!DOCTYPE html><html lang="en"><head>{_STYLE}</head><body>{html}</body></html>')
    return [element for violation in run_axe(page, _CONTRAST) for element in violation.elements]


def test_contrast__text_too_pale__is_found_on_every_page_that_has_it(page: Page) -> None:
    assert [len(_found(page, "<p>Pale</p>")) for _ in range(2)] == [1, 1]


@pytest.mark.parametrize(
    "html",
    [
        "<p>Pale</p>",
        '<div class="dark" style="background: #fff"><p>Pale</p></div>',
        '<div class="dark"><p style="color: #222">Pale</p></div>',
        f"{_LEGIBLE}<p>Pale</p>",
        '<div class="dark"><p>Legible</p><div style="background: #fff"><p>Pale</p></div></div>',
    ],
)
def test_contrast__like_a_text_that_passed_but_in_another_place_or_colour__is_found(
    page: Page, html: str
) -> None:
    assert _found(page, _LEGIBLE) == []

    (found,) = _found(page, html)

    assert "Pale" in found


def test_contrast__text_hidden_at_first__is_found_once_it_is_shown(page: Page) -> None:
    assert _found(page, '<p class="gone">Pale</p>') == []

    page.evaluate("document.querySelector('p').classList.remove('gone')")

    assert len(run_axe(page, _CONTRAST)) == 1


def test_contrast__many_texts_alike__are_found_by_the_first_and_the_last(page: Page) -> None:
    assert len(_found(page, "<p>Pale</p>" * 20)) == 2


def test_contrast__known_text_at_another_width__is_computed_there(page: Page) -> None:
    narrow = "<style>@media (width < 500px) { .dark { background: #fff } }</style>"
    assert _found(page, narrow + _LEGIBLE) == []

    page.set_viewport_size({"width": 390, "height": 900})

    assert len(run_axe(page, _CONTRAST)) == 1


@pytest.mark.django_db(transaction=True)
def test_page_of_the_service__broken__has_each_violation_with_its_element(
    clean_page: Page, live_server: Any
) -> None:
    rules = {"type": "tag", "values": WCAG}
    clean_page.goto(f"{live_server.url}/accounts/login/")
    assert run_axe(clean_page, rules) == []

    clean_page.evaluate(
        """() => {
          document.querySelector("h1").style.color = "#ddd";
          document.querySelector("form label").remove();
        }"""
    )

    found = {violation.rule: violation.elements for violation in run_axe(clean_page, rules)}
    assert sorted(found) == ["color-contrast", "label"]
    assert [elements[0][:3] for elements in (found["color-contrast"], found["label"])] == ["<h1", "<in"]
