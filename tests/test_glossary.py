"""Words that pages must not have: one word for one thing, and that one the field's, in both languages."""

import re

import polib
import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.database_free

CATALOGUE = ROOT / "locale/pt_BR/LC_MESSAGES/django.po"
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
    r"as installed|the installation's": "Default, Current",
    r"in front\b": "ahead, leads",
    r"\bcounts? out\b|\bof the moment\b": "plain words",
    r"gained over an even split": "Extra clicks vs even split",
    r"chance of being the best": "probability to be best",
    r"\bdecided anew\b|\bcomputed anew\b": "updated",
    r"out of sight": "hidden",
    r"control floor|exploration floor|daily cap": "Minimum control share, Maximum daily change",
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


def test_messages__are_found__so_that_the_tests_above_can_fail() -> None:
    assert len(_messages()) > 1000
