"""The pictures of docs/screenshots: small, and only those that the script makes."""

from pathlib import Path

import pytest

from scripts.screenshots import LOOKS, MOST_BYTES, PAGES, remove_others
from tests.conftest import ROOT

pytestmark = pytest.mark.database_free

PICTURES = sorted((ROOT / "docs/screenshots").iterdir())


def test_pictures__all_together__are_small() -> None:
    assert 0 < sum(path.stat().st_size for path in PICTURES) <= MOST_BYTES


def test_pictures__each__is_one_that_the_script_takes() -> None:
    taken = {f"{name}{look.mark}.webp" for look in LOOKS for name in look.pages or PAGES}

    assert {path.name for path in PICTURES} <= taken


def test_looks__pages_that_they_name__exist() -> None:
    assert {name for look in LOOKS for name in look.pages or ()} <= PAGES.keys()


def test_remove_others__picture_that_is_made_no_more__goes(tmp_path: Path) -> None:
    kept, old = tmp_path / "results.webp", tmp_path / "regret.webp"
    for path in (kept, old):
        path.touch()

    remove_others(tmp_path, [kept])

    assert [*tmp_path.iterdir()] == [kept]
