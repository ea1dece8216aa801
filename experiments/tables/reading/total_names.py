"""Names of rows that are of no variant: they hold the sum of others, or what has no variant."""

import re

_TOTAL = re.compile(
    r"(?:(?:grand|overall|account|campaign|sub|sum)[ -]?)?totals?"
    r"(?: (?:geral|general|overall|sum|campaigns?|accounts?|ad ?groups?|ads?|rows?|days?))?(?:\s*(?:[:\-–].*|\(.*\)))?"
    r"|totais|totales|overall|(?:gesamt)?summe(?:\s*:.*)?|gesamt(?:ergebnis)?|insgesamt|sum|soma|suma",
    re.IGNORECASE | re.DOTALL,
)
# A variant may be called so, too.
_ALL = re.compile(
    r"(?:all|alle|todos|todas)(?: (?:[ao]s )?(?:variants?|variations?|versions?|groups?|ads?|ad groups|users|visitors"
    r"|traffic|variantes|variações|anúncios|varianten|anzeigen))?|results from [0-9].*",
    re.IGNORECASE | re.DOTALL,
)
# As exports write that there is none.
_NONE = re.compile(
    r"\((?:not set|other|none|not provided|data not available|blank)\)|[-–—]+|#N/A", re.IGNORECASE
)


def is_none(name: str) -> bool:
    """Say whether this name stands for what has no variant, as visits before the experiment have none."""
    return _NONE.fullmatch(name) is not None


def is_total(name: str) -> bool:
    """Say whether a row of this name is hardly anything else than the sum of others."""
    bare = name.strip(" :*")
    in_brackets = bare.startswith("(") and bare.endswith(")")
    return _TOTAL.fullmatch(bare[1:-1] if in_brackets else bare) is not None


def is_all(name: str) -> bool:
    """Say whether a row of this name may hold the sum of others."""
    return _ALL.fullmatch(name.strip(" :*()")) is not None
