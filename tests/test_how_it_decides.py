"""Every number of the worked example in docs/how-it-decides.md, computed again; its translations have the same."""

import re
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings
from django.utils.formats import get_format

from allocation.engine import Decision, History, Settings, allocate_many
from allocation.engine.analysis.always_valid import AlwaysValid, always_valid_lift
from allocation.engine.analysis.gains import Rewards, new_gains
from allocation.engine.analysis.uplift import Comparison, compare_to_control
from allocation.engine.evidence.learned import evidence_of
from allocation.engine.evidence.memory import group_weights
from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.probability_best import contest
from allocation.engine.state import LEADER_PROBABILITY, state_of
from tests.allocation.engine.factories import allocate_counts, make_history, make_request

pytestmark = pytest.mark.database_free

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "how-it-decides.md").read_text(encoding="utf-8")
TRANSLATIONS = sorted(DOCS.glob("how-it-decides.*.md"))
EXAMPLE = PAGE.split("## Worked example")[1].split("\n## ")[0]
PROSE = " ".join(line for line in EXAMPLE.splitlines() if not line.startswith("|"))
VALUE_EXAMPLE = PAGE.split("## Value as the goal")[1].split("**Example.**")[1].split("\n## ")[0]

CONTROL, GREEN, BLUE = range(3)
BEFORE = np.array([0.44, 0.36, 0.2])
# As it is usually computed: sums over all days and a flat prior.
POOLED = Settings(memory=False, dispersion=False, day_adjustment=False, beta_prior=1.0)


def read_counts() -> tuple[Floats, Floats]:
    """Trials and successes as the page has them, (days, variants)."""
    rows = re.findall(r"^\| \d+ \|(.*)\| [\d.]+ \|$", EXAMPLE, re.M)
    cells = [[re.findall(r"\d+", cell) or ["0", "0"] for cell in row.split("|")] for row in rows]
    counts = np.array(cells, dtype=np.float64)
    return counts[..., 1], counts[..., 0]


TRIALS, SUCCESSES = read_counts()


def decide(settings: Settings | None = None) -> Decision:
    return allocate_counts(
        TRIALS.tolist(), SUCCESSES.tolist(), previous=BEFORE, settings=settings or Settings()
    )


def compare() -> tuple[Comparison, AlwaysValid]:
    answer = decide()
    found = compare_to_control(answer.alpha, answer.beta, CONTROL)
    return found, always_valid_lift(TRIALS, SUCCESSES, CONTROL, answer.dispersion)


def gain() -> tuple[Rewards, float]:
    """The sums over all days, and half of the gain's 95% interval."""
    rewards = new_gains(decide(), Settings())
    return rewards, 1.96 * rewards.gain_error


def row(name: str, values: list[str]) -> str:
    return f"| {name} | {' | '.join(values)} |"


def lifts(low: Floats, high: Floats) -> list[str]:
    ends = zip(low[1:], high[1:], strict=True)
    return ["-", *(f"{100 * start:+.1f} to {end:+.1%}" for start, end in ends)]


def decision_rows() -> list[str]:
    answer = decide()
    interval = zip(answer.interval_low, answer.interval_high, strict=True)
    return [
        row("successes", [f"{x:,.0f}" for x in answer.successes]),
        row("trials", [f"{x:,.0f}" for x in answer.trials]),
        row("effective sample size $`n^*_i`$", [f"{x:,.1f}" for x in answer.effective_trials]),
        row("information retained $`d_i`$", [f"{x:.3f}" for x in answer.evidence_kept]),
        row("posterior alpha", [f"{x:,.1f}" for x in answer.alpha]),
        row("posterior beta", [f"{x:,.1f}" for x in answer.beta]),
        row("estimated rate", [f"{x:.2%}" for x in answer.mean]),
        row("95% credible interval", [f"{100 * low:.2f} to {high:.2%}" for low, high in interval]),
        row("probability to be best", [f"{x:.2%}" for x in answer.probability_best]),
        row("expected loss, pp", [f"{100 * x:.2f}" for x in answer.expected_loss]),
        row("enough data", ["no" if low else "yes" for low in answer.low_evidence]),
        row("target share", [f"{x:.2%}" for x in answer.target]),
        row("share the day before", [f"{x:.2%}" for x in answer.previous]),
        row("**share**", [f"**{x:.2%}**" for x in answer.shares]),
        row("limited by", [f"`{name}`" for name in answer.bound]),
    ]


def limit_rows() -> list[str]:
    floor = np.array([0.10, 0.05 / 3, 0.05 / 3])
    low, high = np.maximum(floor, BEFORE - 0.2), BEFORE + 0.2
    high[BLUE] = np.ceil(10_000 / 3) / 10_000  # too little data
    return [
        row("lowest share allowed", [f"{x:.2%}" for x in low]),
        row("highest share allowed", [f"{x:.2%}" for x in high]),
    ]


def comparison_rows() -> list[str]:
    found, always_valid = compare()
    return [
        row("lift vs control", ["-", *(f"{x:+.1%}" for x in found.uplift[1:])]),
        row("its 95% credible interval", lifts(found.uplift_low, found.uplift_high)),
        row("its 95% always-valid interval", lifts(always_valid.low, always_valid.high)),
        row("always-valid p-value", ["-", *(f"{x:.4f}" for x in always_valid.p_value[1:])]),
        row("probability to beat control", ["-", *(f"{x:.1%}" for x in found.beats_control[1:])]),
    ]


def count_rows() -> list[str]:
    weights = decide().day_weights
    return [
        row(
            str(day + 1),
            [
                *(
                    f"{o:,.0f} of {n:,.0f}" if n else "-"
                    for o, n in zip(SUCCESSES[day], TRIALS[day], strict=True)
                ),
                f"{weights[day]:.3f}",
            ],
        )
        for day in range(len(TRIALS))
    ]


def group_rows() -> list[str]:
    evidence, answer = evidence_of(TRIALS, SUCCESSES, Settings().evidence), decide()
    counted = np.isclose(group_weights(evidence.regime_starts[None])[0], 1)
    best, _loss = contest(evidence.group_alpha, evidence.group_beta)
    every = np.concatenate([best, answer.probability_best[None]])
    return [
        row("days count fully from day", [*(str(int(np.argmax(days)) + 1) for days in counted), "-"]),
        *(
            row(name, [f"{x:.2%}" for x in every[:, i]])
            for i, name in enumerate(("control", "green", "blue"))
        ),
    ]


def test_worked_example__every_row__is_recomputed() -> None:
    rows = [*count_rows(), *decision_rows(), *limit_rows(), *comparison_rows(), *group_rows()]

    assert len(TRIALS) == 20
    assert [line for line in rows if line not in EXAMPLE] == []
    headings = 3
    assert len(re.findall(r"^\| ", EXAMPLE, re.M)) == len(rows) + headings


def test_worked_example__story__is_what_the_numbers_say() -> None:
    answer, pooled = decide(), decide(POOLED)

    assert (answer.lead, decide(Settings(memory=False)).lead) == (CONTROL, GREEN)
    assert answer.low_evidence.tolist() == [False, False, True]
    assert answer.probability_best.argmax() == pooled.probability_best.argmax() == BLUE
    days_with_data = (TRIALS > 0).sum(axis=0)
    assert state_of(answer, days_with_data) == "optimizing"
    assert pooled.probability_best[BLUE] >= LEADER_PROBABILITY


def read_values() -> tuple[Floats, Floats, Floats, Floats]:
    """Visits, orders, values and squares, (days, 2) each."""
    rows = re.findall(r"^\| \d+ \|(.*)\|$", VALUE_EXAMPLE, re.M)
    cells = [[float(cell.replace(",", "")) for cell in row.split("|")] for row in rows]
    counts = np.array(cells, dtype=np.float64).reshape(len(rows), 2, 4)
    return counts[..., 0], counts[..., 1], counts[..., 2], counts[..., 3]


def decide_by_value() -> Decision:
    visits, orders, values, squares = read_values()
    history = History(np.arange(1, 1 + len(visits)), visits, visits, values, squares=squares, orders=orders)
    return allocate_many([make_request(history, previous=np.array([0.4, 0.6]))])[0]


def always_valid_by_value() -> AlwaysValid:
    visits, _orders, values, squares = read_values()
    return always_valid_lift(visits, values, CONTROL, decide_by_value().dispersion, squares)


def value_rows() -> list[str]:
    answer, always_valid = decide_by_value(), always_valid_by_value()
    found = compare_to_control(answer.alpha, answer.beta, CONTROL)
    interval = zip(answer.interval_low, answer.interval_high, strict=True)
    return [
        row("trials", [f"{x:,.0f}" for x in answer.trials]),
        row("value", [f"{x:,.0f}" for x in answer.successes]),
        row("spread $`\\phi_i`$", [f"{x:.1f}" for x in answer.spread]),
        row("effective sample size $`n^*_i`$", [f"{x:,.1f}" for x in answer.effective_trials]),
        row("information retained $`d_i`$", [f"{x:.3f}" for x in answer.evidence_kept]),
        row("effective orders $`d_i S_i / \\phi_i`$", [f"{x:.1f}" for x in answer.effective_orders]),
        row("value per visit", [f"{x:.2f}" for x in answer.mean]),
        row("95% credible interval", [f"{low:.2f} to {high:.2f}" for low, high in interval]),
        row("lift vs control", ["-", f"{found.uplift[1]:+.1%}"]),
        row("its 95% credible interval", lifts(found.uplift_low, found.uplift_high)),
        row("its 95% always-valid interval", lifts(always_valid.low, always_valid.high)),
        row("probability to be best", [f"{x:.2%}" for x in answer.probability_best]),
        row("expected loss", [f"{x:.2f}" for x in answer.expected_loss]),
        row("largest order, at most", [f"{x:.1%}" for x in answer.largest_part]),
        row("share the day before", [f"{x:.2%}" for x in answer.previous]),
        row("**share**", [f"**{x:.2%}**" for x in answer.shares]),
    ]


def test_value_example__every_row__is_recomputed() -> None:
    rows = value_rows()

    assert [line for line in rows if line not in VALUE_EXAMPLE] == []
    headings, days = 2, len(read_values()[0])
    assert len(re.findall(r"^\| ", VALUE_EXAMPLE, re.M)) == len(rows) + headings + days


def test_value_example__prose__has_no_number_that_was_not_recomputed() -> None:
    visits, orders, values, _squares = read_values()
    answer, always_valid = decide_by_value(), always_valid_by_value()
    of_orders = allocate_many([make_request(make_history(visits.tolist(), orders.tolist()))])[0]
    prose = " ".join(line for line in VALUE_EXAMPLE.splitlines() if not line.startswith("|"))

    assert set(re.findall(r"[+-]?\d[\d.,]*\d%?", prose)) == {
        *(f"{x:,.0f}" for x in (*orders.sum(axis=0), *visits.sum(axis=0))),
        f"{of_orders.probability_best[CONTROL]:.1%}",
        *(f"{x:.1f}" for x in values.sum(axis=0) / orders.sum(axis=0)),
        f"{answer.probability_best[GREEN]:.1%}",
        f"{answer.effective_orders[CONTROL]:.1f}",
        f"{answer.dispersion:.2f}",
        f"{always_valid.low[GREEN]:+.1%}",
        f"{always_valid.high[GREEN]:+.1%}",
    }


def prose_numbers() -> set[str]:
    answer, pooled, remembered = decide(), decide(POOLED), decide(Settings(memory=False))
    totals = SUCCESSES.sum(axis=0) / TRIALS.sum(axis=0)
    evidence = evidence_of(TRIALS, SUCCESSES, Settings().evidence)
    rewards, around = gain()
    change = answer.change_day
    assert change is not None
    return {
        *("11", "6", "7", "13", "14", "20"),  # the days of the story
        "95%",  # the level of an interval
        "28",  # days in which a change is looked for
        str(change),
        f"{float(evidence.change_probability):.0%}",
        f"{answer.dispersion:.2f}",
        *(f"{rate:.1%}" for rate in totals),
        f"{pooled.probability_best[BLUE]:.1%}",
        f"{SUCCESSES[-1, CONTROL] / TRIALS[-1, CONTROL]:.1%}",
        f"{TRIALS[-1, BLUE]:.0f}",
        f"{answer.evidence_kept[BLUE] * answer.effective_trials[BLUE]:.0f}",
        f"{answer.missing_trials[BLUE]:.0f}",
        f"{1000 / 3:.0f}",
        f"{remembered.probability_best[GREEN]:.1%}",
        f"{remembered.probability_best[CONTROL]:.1%}",
        f"{answer.target[GREEN]:.2%}",
        f"{100 * Settings().max_daily_shift:.0f}",
        f"{answer.value_remaining:.1%}",
        f"{rewards.gained_over_even:.0f}",
        f"{rewards.gained_over_even - around:.0f}",
        f"{rewards.gained_over_even + around:.0f}",
    }


def test_worked_example__prose__has_no_number_that_was_not_recomputed() -> None:
    assert set(re.findall(r"\d[\d.,]*\d%?|\d%?", PROSE)) == prose_numbers()


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


@pytest.mark.parametrize("page", TRANSLATIONS, ids=lambda path: path.name)
def test_translation__formulas__are_those_of_the_english_page(page: Path) -> None:
    """But for the words in them."""
    assert formulas(page.read_text(encoding="utf-8")) == formulas(PAGE)


def test_translations__are_of_languages_that_the_pages_speak() -> None:
    assert TRANSLATIONS
    assert {page.name.split(".")[1] for page in TRANSLATIONS} < {code for code, _ in settings.LANGUAGES}


def numbers_by_block(text: str) -> list[list[str]]:
    blocks = re.split(r"\n(?=\n|[-|#]|\d+\. )", text.replace("CC BY 4.0", ""))
    return [sorted(re.findall(r"[+-]?\d+(?:[.,]\d+)*%?", block)) for block in blocks]


def formulas(text: str) -> list[str]:
    displayed = re.findall(r"^```math\n(.*?)\n```$", text, re.M | re.S)
    assert len(displayed) > 20
    return [re.sub(r"\\text\{\w+\}", r"\\text{}", formula) for formula in displayed]
