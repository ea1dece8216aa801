"""Names that are markup or formulas, in a real browser: no page and no downloaded file runs any of them."""

import csv
import io
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Dialog, Page, expect

from tests.factory import allocate, counts, make_experiment, record
from tests.security.names import FORMULAS, MARKUP

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("today")]

TABS = (
    "", "explore/", "traffic/", "history/", "data/",
    "data/day/?date=2025-09-01", "settings/",
)  # fmt: skip


def test_page__everything_named_by_markup__runs_none_of_it(clean_page: Page, live_server: Any) -> None:
    experiment = make_experiment(MARKUP, description=MARKUP)
    record(experiment, counts(MARKUP, 10000, 700), counts(f"{MARKUP}b", 10000, 950))
    allocate(experiment)
    dialogs: list[str] = []
    note = partial(_note, dialogs)
    clean_page.on("dialog", note)

    for path in ("", *(f"experiments/{experiment.key}/{tab}" for tab in TABS)):
        clean_page.goto(f"{live_server.url}/dashboard/{path}")
        clean_page.wait_for_load_state("networkidle")
        for canvas in clean_page.locator("canvas").all():
            canvas.hover()
        expect(clean_page.locator("#planted, img[src=x]")).to_have_count(0)

    clean_page.remove_listener("dialog", note)
    assert dialogs == []


def _note(dialogs: list[str], dialog: Dialog) -> None:
    dialogs.append(dialog.message)
    dialog.dismiss()


def test_chart__its_file__holds_names_like_formulas_as_text(
    clean_page: Page, live_server: Any, tmp_path: Path
) -> None:
    experiment = make_experiment("Formulas")
    record(experiment, *(counts(name, 10000, 700 + n) for n, name in enumerate(FORMULAS)))
    allocate(experiment)
    clean_page.goto(f"{live_server.url}/dashboard/experiments/formulas/explore/")

    # the chart of rates: lifts are numbers with a sign
    with clean_page.expect_download() as download:
        clean_page.locator("[data-chart-csv]").nth(1).click()
    download.value.save_as(tmp_path / "chart.csv")
    text = (tmp_path / "chart.csv").read_text(encoding="utf-8-sig")

    cells = [
        cell
        for sign in ",;"
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=sign)
        for cell in row
    ]
    assert [cell for cell in cells if cell.lstrip().startswith(("=", "+", "-", "@", "\uff1d"))] == []
