"""Every language of the pages is complete, and compiled from its catalogue."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import polib
import pytest
from django.conf import settings
from django.utils.translation import to_locale
from django.utils.translation.template import templatize

from tests.conftest import ROOT

pytestmark = pytest.mark.database_free

CATALOGUES = sorted((ROOT / "locale").glob("*/LC_MESSAGES/django.po"))
_APPS = ("allocation", "bandit_project", "dashboard", "experiments", "notifications")
_CALL = re.compile(r"(?:_|n?p?gettext(?:_lazy|_noop)?)")
# Placeholders, percent signs, and the tags and entities of HTML.
_KEPT = re.compile(r"%\(\w+\)[sdr]|\{\w*\}|%%|<[^>]+>|&\w+;")
_TEXT = r"""u?(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")"""
_CALL_IN_TEMPLATE = re.compile(rf"\b({_CALL.pattern})\(({_TEXT}(?:, ?{_TEXT})*)")


@pytest.fixture(params=CATALOGUES, ids=lambda path: path.parts[-3])
def catalogue(request: pytest.FixtureRequest) -> polib.POFile:
    return polib.pofile(str(request.param))


def _forms(entry: polib.POEntry | polib.MOEntry) -> list[str]:
    return list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]


def test_catalogues__are_those_of_the_languages_but_the_source() -> None:
    languages = {code for code, _ in settings.LANGUAGES} - {settings.LANGUAGE_CODE}

    assert {path.parts[-3] for path in CATALOGUES} == {to_locale(code) for code in languages}


def test_catalogue__every_entry__is_translated_in_all_its_forms(catalogue: polib.POFile) -> None:
    plurals = int(re.findall(r"nplurals=(\d)", catalogue.metadata["Plural-Forms"])[0])

    incomplete = [
        entry.msgid
        for entry in catalogue
        if entry.fuzzy or not all(_forms(entry)) or (entry.msgid_plural and len(_forms(entry)) != plurals)
    ]

    assert incomplete == []


def test_catalogue__every_translation__keeps_placeholders_and_tags(catalogue: polib.POFile) -> None:
    broken = [
        entry.msgid
        for entry in catalogue
        for form in _forms(entry)
        if sorted(_KEPT.findall(form)) != sorted(_KEPT.findall(entry.msgid))
    ]

    assert broken == []


def test_catalogue__every_translation__begins_and_ends_as_the_original(catalogue: polib.POFile) -> None:
    """Leading spaces and the final punctuation belong to the sentence around the translation."""
    ends = re.compile(r"^\s*|[.:?;,\s]*$")

    different = [
        entry.msgid
        for entry in catalogue
        for form in _forms(entry)
        if ends.findall(form) != ends.findall(entry.msgid)
    ]

    assert different == []


def test_catalogue__every_message_of_the_code__is_in_it(catalogue: polib.POFile) -> None:
    known = {text for entry in catalogue for text in (entry.msgid, entry.msgid_plural)}
    found = set(_messages())

    assert sorted(found - known) == []
    assert sorted(known - found - {""}) == []


def test_catalogue__compiled_file__says_the_same(catalogue: polib.POFile) -> None:
    def content(entries: polib.POFile | polib.MOFile) -> list[tuple[str, list[str]]]:
        return sorted((entry.msgid, _forms(entry)) for entry in entries)

    assert content(polib.mofile(str(Path(catalogue.fpath).with_suffix(".mo")))) == content(catalogue)


def _messages() -> Iterator[str]:
    for app in _APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            yield from _messages_of_code(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "templates").rglob("*.*")):
        # Django rewrites a template into calls that its own extraction reads
        for name, texts in _CALL_IN_TEMPLATE.findall(templatize(path.read_text(encoding="utf-8"))):
            yield from _messages_of_code(f"{name}({texts})")


def _messages_of_code(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        name = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Call) and _CALL.fullmatch(name):
            for argument in _texts(name, node.args):
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.value


def _texts(name: str, arguments: list[ast.expr]) -> list[ast.expr]:
    """The arguments that are messages: after the context of a pgettext, both forms of an ngettext."""
    first = 1 if name.startswith(("p", "np")) else 0
    return arguments[first : first + (2 if name.startswith("n") else 1)]
