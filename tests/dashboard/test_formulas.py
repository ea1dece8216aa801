"""Formulas of a document as MathML: both ways to write one, and nothing but presentation."""

import re
from xml.etree.ElementTree import Element, tostring

import pytest

from dashboard.algorithm_page import to_html
from dashboard.formulas import to_mathml

pytestmark = pytest.mark.database_free


def render(text: str) -> str:
    html, _contents = to_html(text)
    return re.sub(r"\s*\n\s*", "", html)


def test_in_line__among_words__is_a_formula_and_no_emphasis() -> None:
    html = render(r"rate $`a * b * \theta_i`$, *really*")

    assert html == (
        '<p>rate <math display="inline"><mrow><mi>a</mi><mo>*</mo><mi>b</mi><mo>*</mo>'
        "<msub><mi>θ</mi><mi>i</mi></msub></mrow></math>, <em>really</em></p>"
    )


def test_in_line__dollars_and_code__stay_what_they_are() -> None:
    assert render("from $5 to $6, `$x$`") == "<p>from $5 to $6, <code>$x$</code></p>"


def test_displayed__fenced_paragraph__is_a_box_that_scrolls() -> None:
    html = render("before\n\n```math\nx_1\n= 2\n```\n\nafter")

    assert html == (
        '<p>before</p><div class="formula" role="group" tabindex="0"><math display="block"><mrow>'
        "<msub><mi>x</mi><mn>1</mn></msub><mo>=</mo><mn>2</mn></mrow></math></div><p>after</p>"
    )


def test_displayed__inside_a_list__belongs_to_its_entry() -> None:
    assert "</div></li><li><p>b</p></li></ul>" in render("- a\n\n    ```math\n    x\n    ```\n\n- b")


@pytest.mark.parametrize("sign", [r"\sum", r"\prod"])
def test_limits__of_sums_and_products__are_below_and_above(sign: str) -> None:
    formula = to_mathml(rf"{sign}_i {sign}^k {sign}_i^k x_i^k", display="block")

    tags = [element.tag for element in formula[0]]
    assert tags == ["munder", "mover", "munderover", "msubsup"]


@pytest.mark.parametrize(
    "tex",
    [
        r"\href{javascript:alert(1)}{x}",
        r"\style{position:fixed}{x}",
        r"\class{btn}{x}",
        r"\frac",
        r"\left( x",
        "{",
        r"\nosuchcommand x",
    ],
)
def test_to_mathml__wrong_or_more_than_presentation__stays_as_written(tex: str) -> None:
    formula = to_mathml(tex, display="inline")

    assert (formula.tag, formula.text, len(formula)) == ("code", tex, 0)


@pytest.mark.parametrize("tex", [r"a < b > c \& d", r"\text{<script>x</script>}", '"x"'])
def test_to_mathml__signs_of_html__are_escaped(tex: str) -> None:
    html = render(f"$`{tex}`$")

    assert "<math" in html
    assert "<script" not in html
    assert re.sub(r"</?(math|p|mrow|mi|mo|mtext)( display=\"inline\")?>", "", html).count("<") == 0


def test_to_mathml__symbols__are_characters() -> None:
    formula: Element = to_mathml(r"\phi \ge \hat\mu", display="inline")

    assert "&" not in tostring(formula, encoding="unicode")
