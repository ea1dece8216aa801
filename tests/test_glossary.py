"""Words that pages and documents must not have: one word for one thing, and that one the field's, in both languages."""

import re
from pathlib import Path

import polib
import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.database_free

CATALOGUE = ROOT / "locale/pt_BR/LC_MESSAGES/django.po"
_PORTUGUESE_DOCUMENT = re.compile(r"\.pt-br\.md$")
# Names that engineers and operators read beside the settings; pages say what they mean in longer words.
_FOR_ENGINEERS = r"control floor|exploration floor|daily cap"
# Old or private words, with what is written for them.
ENGLISH = {
    r"\bmend(ed|s)?\b": "fix",
    r"held up": "Limited by",
    r"anew\b": "again",
    r"believed\b": "Estimated",
    r"\bwanted\b": "Target",
    r"what held it": "Limited by",
    r"brought back|bring(s)? (it |one )?back": "Restore, Reactivate",
    r"\bgiven up\b": "opportunity cost, Failed",
    r"whoever": "anyone who",
    r"\bretire(d|s)?\b": "Deactivate, inactive",
    r"\bclassical test": "fixed-horizon test",
    r"\bfinding out\b": "regret",
    r"as installed|the installation's": "Default, Current, the service's",
    r"in front\b": "ahead, leads",
    r"\bcounts? out\b|\bof the moment\b": "plain words",
    r"gained over an even split": "Extra clicks vs even split",
    r"chance of being the best": "probability to be best",
    r"\bdecided anew\b|\bcomputed anew\b": "updated",
    r"out of sight": "hidden",
    r"(?<!of )\bdata (are|were|have|come|say)\b": "data is, was, has",
    r"\be-mails?\b": "email",
    _FOR_ENGINEERS: "Minimum control share, Maximum daily change",
}
PORTUGUESE = {
    r"arrependimento": "regret, custo de oportunidade",
    r"\bfatia": "parcela, % do tráfego",
    r"desejada": "alvo",
    r"o que a limitou": "Limitada por",
    r"aproveitamento": "agressividade",
    r"\bprioris?\b|a posteriori|posteriori\b": "prior, posterior",
    r"traz(er|ê-l[ao]|ido) de volta|de volta à lista": "restaurar, reativar",
    r"fora de vista": "oculto",
    r"\brodadas?\b": "simulações",
    r"\bretirad[ao]\b": "inativa",
    r"\btrag[ao]-[oa]s? de volta": "restaure, reative",
    r"\balocaç(ão|ões)\b": "distribuição",
    r"\bteste clássico": "teste de horizonte fixo",
    r"\brecompensa": "métrica principal",
}


def _messages() -> list[tuple[str, str]]:
    entries = [entry for entry in polib.pofile(str(CATALOGUE)) if not entry.obsolete]
    texts = []
    for entry in entries:
        english = " / ".join(filter(None, (entry.msgid, entry.msgid_plural)))
        portuguese = " / ".join((entry.msgstr, *entry.msgstr_plural.values()))
        texts.append((english, portuguese))
    return texts


@pytest.mark.parametrize("word", ENGLISH)
def test_english__old_or_private_word__is_on_no_page(word: str) -> None:
    assert [english for english, _ in _messages() if re.search(word, english, re.I)] == []


@pytest.mark.parametrize("word", PORTUGUESE)
def test_portuguese__word_that_reads_as_translated__is_on_no_page(word: str) -> None:
    assert [portuguese for _, portuguese in _messages() if re.search(word, portuguese, re.I)] == []


def _documents() -> list[Path]:
    """Every document of the tree and every template."""
    written = ROOT.glob("*.md"), *(ROOT.glob(f"{part}/**/*.md") for part in _WITH_DOCUMENTS)
    return sorted({path for paths in (*written, _templates()) for path in paths})


_WITH_DOCUMENTS = ("docs", "benchmarks", "clients", "deploy", "examples")


def _templates() -> list[Path]:
    return [path for path in ROOT.glob("templates/**/*") if path.suffix in {".html", ".txt"}]


def _prose(path: Path) -> str:
    """Read a document without its code, which has the names of the API, and a template without tags and markup."""
    code = (
        r"```.*?```|`[^`\n]*`|^    .*?$"
        if path.suffix == ".md"
        else r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}|<[^>]*>"
    )
    return re.sub(code, " ", path.read_text(), flags=re.DOTALL | re.MULTILINE)


def _names_of_those_that_say(word: str, texts: dict[str, str]) -> list[str]:
    return [name for name, text in texts.items() if re.search(word, text, re.IGNORECASE)]


@pytest.fixture(scope="module")
def prose() -> dict[str, str]:
    return {str(path.relative_to(ROOT)): _prose(path) for path in _documents()}


@pytest.mark.parametrize("word", [word for word in ENGLISH if word != _FOR_ENGINEERS])
def test_english__old_or_private_word__is_in_no_document_or_template(
    word: str, prose: dict[str, str]
) -> None:
    english = {name: text for name, text in prose.items() if not _PORTUGUESE_DOCUMENT.search(name)}

    assert _names_of_those_that_say(word, english) == []


@pytest.mark.parametrize("word", PORTUGUESE)
def test_portuguese__word_that_reads_as_translated__is_in_no_document(
    word: str, prose: dict[str, str]
) -> None:
    portuguese = {name: text for name, text in prose.items() if _PORTUGUESE_DOCUMENT.search(name)}

    assert _names_of_those_that_say(word, portuguese) == []


def test_prose__is_found__so_that_the_tests_above_can_fail(prose: dict[str, str]) -> None:
    expected = {"README.md", "CHANGELOG.md", "docs/how-it-decides.md", "docs/how-it-decides.pt-br.md"}
    assert expected | {"templates/dashboard/experiment/report/fields.txt"} <= prose.keys()


def test_messages__are_found__so_that_the_tests_above_can_fail() -> None:
    assert len(_messages()) > 1000


_APPS = ("allocation", "bandit_project", "dashboard", "experiments", "notifications", "serving", "scripts")
_PRIVATE = re.compile(r"(?<![a-z])(told|anew|mend(s|ed|ing)?|whoever|afresh)(?![a-z])", re.IGNORECASE)


def test_code__private_word__is_in_no_name_comment_or_docstring() -> None:
    modules = [
        path for app in _APPS for path in ROOT.glob(f"{app}/**/*.py") if "migrations" not in path.parts
    ]

    assert len(modules) > 300
    assert [str(path) for path in modules if _PRIVATE.search(path.read_text())] == []
