"""Collect the pages' messages for every language of settings.LANGUAGES into locale/, and compile the translations.

./dev messages
"""

import sys
from pathlib import Path

import django
import polib
from django.conf import settings
from django.core.management import call_command
from django.utils.translation import to_locale

LOCALE = Path(__file__).resolve().parent.parent / "locale"


def main() -> None:
    django.setup()
    _collect([to_locale(code) for code, _ in settings.LANGUAGES if code != settings.LANGUAGE_CODE])
    for path in sorted(LOCALE.glob("*/LC_MESSAGES/*.po")):
        _compile(path)


def _collect(locales: list[str]) -> None:
    options = {"no_obsolete": True, "add_location": "file", "ignore_patterns": [".venv", "tests"]}
    call_command("makemessages", locale=locales, stdout=sys.stderr, **options)


def _compile(path: Path) -> None:
    """Without GNU gettext, which may be missing where translations are only read."""
    catalogue = polib.pofile(str(path))
    catalogue.save_as_mofile(str(path.with_suffix(".mo")))
    print(f"{path.relative_to(LOCALE)}: {catalogue.percent_translated()}% translated", file=sys.stderr)


if __name__ == "__main__":
    main()
