"""Every relative link of the documents leads to a file that exists, and to a heading that it has."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.database_free

_LINK = re.compile(r"\]\(([^)\s]+)\)|(?:href|src|srcset)=\"([^\"]+)\"")


def _documents() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "*.md"], capture_output=True, text=True, cwd=ROOT, check=True
    ).stdout.splitlines()
    return [ROOT / name for name in listed if not name.startswith("static/vendor/")]


def _relative_links(document: Path) -> list[str]:
    text = re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)
    links = [first or second for first, second in _LINK.findall(text)]
    return [link for link in links if not re.match(r"[a-z]+:", link)]


def _anchors(document: Path) -> set[str]:
    """Return the anchors that Git hosts make of a document's headings."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _leads_somewhere(document: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = (document.parent / name).resolve() if name else document
    return target.exists() and (not anchor or anchor in _anchors(target))


def test_documents__each_relative_link__leads_to_a_file_and_a_heading() -> None:
    links = [(document, link) for document in _documents() for link in _relative_links(document)]

    assert len(links) > 50
    assert [
        f"{document.name}: {link}" for document, link in links if not _leads_somewhere(document, link)
    ] == []
