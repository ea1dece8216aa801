"""The map and the answers of CONTRIBUTING.md, held to the tree."""

import re

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.database_free

GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
_ADDITIONS = (
    "A goal",
    "A limit",
    "A policy",
    "A page",
    "A page of the lab",
    "An endpoint",
    "A field of the rule set",
    "An operator's setting",
    "An algorithm's setting",
    "A notification",
    "A language",
)


def _chapter(title: str, text: str = GUIDE, level: str = "##") -> str:
    found = re.search(rf"^{level} {re.escape(title)}\n(.*?)(?=^##|\Z)", text, re.M | re.S)
    assert found is not None, title
    return found[1]


def _files(text: str) -> list[str]:
    """Return the distinct files and folders in a text, each written as code and from the root."""
    return sorted(set(re.findall(r"`([\w.-]+/(?:[\w.-]+/?)*|[\w.-]+\.(?:md|toml|example))`", text)))


@pytest.mark.parametrize("title", _ADDITIONS)
def test_where_to_add__each_answer__names_at_most_five_files_that_exist(title: str) -> None:
    files = _files(_chapter(title, level="###"))

    assert 1 <= len(files) <= 5, files
    assert [name for name in files if not (ROOT / name).exists()] == []


def test_guide__every_file_that_it_names__exists() -> None:
    assert [name for name in _files(GUIDE) if not (ROOT / name).exists()] == []


def test_map__each_folder__exists() -> None:
    folders: list[str] = []
    for indent, name in re.findall(r"^    (  )?([\w/]+/)", _chapter("Where things are"), re.M):
        folders.append(_parent(folders, indent) + name)

    assert len(folders) > 20
    assert [name for name in folders if not (ROOT / name).is_dir()] == []


def _parent(folders: list[str], indent: str) -> str:
    """Return the top-level folder that an indented line of the map belongs to."""
    return folders[-1].split("/")[0] + "/" if indent else ""
