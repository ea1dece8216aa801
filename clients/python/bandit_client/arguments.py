"""Checks of arguments, made before anything is assigned, counted or sent. All raise ValueError."""

import datetime as dt
from collections.abc import Sequence
from typing import TypeGuard
from urllib.parse import urlsplit

from bandit_client.rows import Exposure


def is_unit(unit: object) -> TypeGuard[str]:
    """Whether this names a visitor."""
    return isinstance(unit, str) and unit.strip() != ""


def check_unit(unit: object) -> None:
    """Refuse what names nobody: all visitors with a blank name would be one, and see one variant."""
    if not is_unit(unit):
        raise ValueError(f"unit must be text that is not blank, not {unit!r}")


def handed_over(experiment: str, exposure: Sequence[str]) -> Exposure:
    """Read an exposure of the experiment that another process has made; JSON makes a list of it."""
    try:
        seen = Exposure(*exposure)
        dt.date.fromisoformat(seen.day)
    except (TypeError, ValueError):
        seen = Exposure("", "", "")
    if not all(isinstance(part, str) and part for part in seen):
        raise ValueError(f"exposure must be what exposure() returned, not {exposure!r:.80}")
    if seen.experiment != experiment:
        raise ValueError(f"exposure must be one of {experiment!r}, not of {seen.experiment!r}")
    return seen


def check_service(url: str, api_key: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"url must begin with http:// or https://, not {url!r}")
    if not parts.hostname:
        raise ValueError(f"url names no host: {url!r}")
    if not isinstance(api_key, str):
        raise ValueError(f"api_key must be text, blank for none, not of the type {type(api_key).__name__}")
    if not all(" " <= sign <= "~" for sign in api_key):  # the key itself is in no message
        raise ValueError(
            "api_key must be ASCII without line breaks: does the file that it is read from end with one?"
        )


def check_above_zero(**numbers: float) -> None:
    for name, number in numbers.items():
        if not (isinstance(number, int | float) and number > 0):
            raise ValueError(f"{name} must be above 0, not {number!r}")
