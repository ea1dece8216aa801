"""What a person may call something: any text with something to see in it, and nothing invisible."""

import re

NAME_LENGTH = 200

# Control characters, what hides or turns text around, and halves of surrogate pairs.
_INVISIBLE = r"\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
NAME_PATTERN = rf"^[^{_INVISIBLE}]*[^\s{_INVISIBLE}][^{_INVISIBLE}]*$"
_NAME = re.compile(NAME_PATTERN)
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def is_name(text: str) -> bool:
    return len(text) <= NAME_LENGTH and bool(_NAME.match(text)) and not _SURROGATE.search(text)
