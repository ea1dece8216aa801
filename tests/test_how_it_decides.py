"""Every number of the worked example in docs/how-it-decides.md, computed again; its translations have the same."""

import re
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings
from django.utils.formats import get_format

from allocation.engine import Decision, Settings
from allocation.engine.analysis.uplift import compare_to_control
from tests.allocation.engine.factories import allocate_counts

pytestmark = pytest.mark.database_free

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "how-it-decides.md").read_text(encoding="utf-8")
TRANSLATIONS = sorted(DOCS.glob("how-it-decides.*.md"))
EXAMPLE = PAGE.split("## An example")[1].split("\n## ")[0]

TRIALS = [[4000.0, 4000.0, 0.0], [2400.0, 5600.0, 0.0], [2200.0, 4200.0, 1600.0]]
SUCCESSES = [[200.0, 228.0, 0.0], [252.0, 636.0, 0.0], [110.0, 240.0, 104.0]]
BEFORE = np.array([0.275, 0.525, 0.2])


def decide(settings: Settings) -> Decision:
    return allocate_counts(TRIALS, SUCCESSES, previous=BEFORE, settings=settings)


def row(name: str, values: list[str]) -> str:
    return f"| {name} | {' | '.join(values)} |"


def test_worked_example__counts__are_those_of_the_table() -> None:
    for number, name in enumerate(("1", "2 (weekend)", "3")):
        cells = [
            f"{o:,.0f} of {n:,.0f}" if n else "-"
            for o, n in zip(SUCCESSES[number], TRIALS[number], strict=True)
        ]
        assert row(name, cells) in EXAMPLE


def test_worked_example__every_row_of_the_decision__is_recomputed() -> None:
    answer = decide(Settings())

    rows = [
        row("successes O", [f"{x:,.0f}" for x in answer.successes]),
        row("trials n", [f"{x:,.0f}" for x in answer.trials]),
        row("effective trials n\\*", [f"{x:,.1f}" for x in answer.effective_trials]),
        row("evidence kept d", [f"{x:.3f}" for x in answer.evidence_kept]),
        row("posterior alpha", [f"{x:,.1f}" for x in answer.alpha]),
        row("posterior beta", [f"{x:,.1f}" for x in answer.beta]),
        row("rate", [f"{x:.2%}" for x in answer.mean]),
        row("95% interval", [
            f"{100 * low:.2f}-{high:.2%}"
            for low, high in zip(answer.interval_low, answer.interval_high, strict=True)
        ]),
        row("probability of being best", [f"{x:.2%}" for x in answer.probability_best]),
        row("expected loss, points", [f"{100 * x:.2f}" for x in answer.expected_loss]),
        row("target", [f"{x:.4f}" for x in answer.target]),
        row("share the day before", [f"{x:.4f}" for x in answer.previous]),
        row("**share**", [f"**{x:.4f}**" for x in answer.shares]),
        row("held by", list(answer.bound)),
    ]  # fmt: skip

    assert [line for line in rows if line not in EXAMPLE] == []


def test_worked_example__limits__are_what_the_page_says_they_are() -> None:
    floor = np.array([0.10, 0.05 / 3, 0.05 / 3])
    low, high = np.maximum(floor, BEFORE - 0.2), BEFORE + 0.2

    assert row("lowest allowed", [f"{x:.4f}" for x in low]) in EXAMPLE
    assert row("highest allowed", [f"{x:.4f}" for x in high]) in EXAMPLE


def test_worked_example__comparison__is_recomputed() -> None:
    answer = decide(Settings())

    found = compare_to_control(answer.alpha, answer.beta, control=0)

    assert row("uplift over control", ["-", *(f"{x:+.1%}" for x in found.uplift[1:])]) in EXAMPLE
    assert row("beats control", ["-", *(f"{x:.1%}" for x in found.beats_control[1:])]) in EXAMPLE


def test_worked_example__prose__has_no_number_that_was_not_recomputed() -> None:
    prose = " ".join(line for line in EXAMPLE.splitlines() if not line.startswith("|"))
    pooled, answer = decide(Settings(day_adjustment=False)), decide(Settings())
    totals = np.sum(SUCCESSES, axis=0) / np.sum(TRIALS, axis=0)
    third_day = np.array(SUCCESSES[2]) / np.array(TRIALS[2])

    recomputed = {
        f"{totals[1]:.2%}",
        f"{totals[2]:.2%}",
        f"{pooled.probability_best[1]:.1%}",
        *(f"{rate:.2%}" for rate in third_day),
        f"{answer.target[2]:.4f}",
        f"{Settings().max_daily_shift:.2f}",
        f"{answer.value_remaining:.1%}",
        "95%",  # the level of value remaining
    }

    assert set(re.findall(r"\d[\d.,]*\d%?|\d%?", prose)) == recomputed
    assert (pooled.lead, answer.lead) == (1, 2)


@pytest.mark.parametrize("page", TRANSLATIONS, ids=lambda path: path.name)
def test_translation__numbers__are_those_of_the_english_page(page: Path) -> None:
    """The numbers are compared by paragraph and by row. Within one their order is free: words change places."""
    language = page.name.split(".")[1]
    separators = "".join(get_format(f"{kind}_SEPARATOR", language, True) for kind in ("DECIMAL", "THOUSAND"))
    to_english = str.maketrans(separators, ".,")

    found = [
        sorted(number.translate(to_english) for number in block)
        for block in numbers_by_block(page.read_text(encoding="utf-8"))
    ]

    assert found == numbers_by_block(PAGE)


def test_translations__are_of_languages_that_the_pages_speak() -> None:
    assert TRANSLATIONS
    assert {page.name.split(".")[1] for page in TRANSLATIONS} < {code for code, _ in settings.LANGUAGES}


def numbers_by_block(text: str) -> list[list[str]]:
    blocks = re.split(r"\n(?=\n|[-|#]|\d\. )", text.replace("CC BY 4.0", ""))
    return [sorted(re.findall(r"[+-]?\d+(?:[.,]\d+)*%?", block)) for block in blocks]
