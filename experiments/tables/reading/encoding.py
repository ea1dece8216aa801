"""The encoding of a file: UTF-8, UTF-16 or UTF-32, or Windows-1252."""

import codecs
import re
from typing import BinaryIO

from charset_normalizer import from_bytes
from django.utils.translation import gettext as _

from experiments.exceptions import InvalidError
from experiments.tables.reading.source import OpenBytes, unreadable

WINDOWS = "cp1252"
# Encodings that nothing in a file says it has.
GUESSED = frozenset({WINDOWS, "utf-16-le", "utf-16-be"})
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    # before UTF-16, whose mark is the beginning of this one
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BEGINNING = 4096
_BLOCK = 1 << 20
_SAMPLE = 1 << 16
# Other alphabets, which statistics tell from Windows-1252; they cannot tell one Latin encoding from another.
_ALPHABETS = ["cp1251", "cp1253", "cp1255", "cp1256", "shift_jis", "gb18030", "euc_kr", "big5"]
# Signs between two letters: the accents of another encoding.
_TORN_WORD = re.compile(r"[^\W\d_][\u0080-\u00a0‚„†‡ˆ‰‹›•˜™¢£¤¥¦§¨©«¬®¯°±¶¸»¿][^\W\d_]")


def find_encoding(open_bytes: OpenBytes) -> str:
    """Return the encoding of a file; raise InvalidError for bytes that are no text."""
    with open_bytes() as file:
        first = file.read(4)
        if marked := next((name for mark, name in _MARKS if first.startswith(mark)), None):
            return marked
        file.seek(0)
        if unmarked := _unmarked_utf16(file.read(_BEGINNING)):
            return unmarked
        file.seek(0)
        bad = _first_bytes_beyond_utf8(file)
    return "utf-8" if bad is None else _not_utf8(bad)


def _unmarked_utf16(beginning: bytes) -> str:
    """Return the encoding of UTF-16 without its mark: every second byte of English, of digits and of signs is 0."""
    even, odd = beginning[::2], beginning[1::2]
    for name, zeros, others in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if zeros and zeros.count(0) > len(zeros) / 2 and not others.count(0):
            return name
    return ""


def _first_bytes_beyond_utf8(file: BinaryIO) -> bytes | None:
    """Return the block in which a file stops being UTF-8; None where it never does."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    while block := file.read(_BLOCK):
        try:
            decoder.decode(block)
        except UnicodeDecodeError as error:
            return block[max(error.start - _SAMPLE, 0) : error.start + _SAMPLE]
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return bytes(error.object)
    return None


def _not_utf8(sample: bytes) -> str:
    if b"\x00" in sample:
        raise _no_text()
    try:
        text = sample.decode(WINDOWS)
    except UnicodeDecodeError as error:
        raise _no_text() from error
    lines = [line for line in sample.splitlines() if not line.isascii()]
    found = from_bytes(b"\n".join(lines), cp_isolation=[WINDOWS, "cp1250", *_ALPHABETS]).best()
    if _TORN_WORD.search(text) or (found is not None and found.encoding in _ALPHABETS):
        raise _no_text()
    return WINDOWS


def _no_text() -> InvalidError:
    message = _(
        "the file is neither UTF-8 nor Windows-1252 text; save it as UTF-8 (in Excel: Save as, CSV UTF-8) or as .xlsx"
    )
    return unreadable("not_utf8", message)
