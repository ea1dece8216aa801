"""Compiles every catalogue of locale/; see ./dev messages."""

import sys
from pathlib import Path

import polib

LOCALE = Path(__file__).resolve().parent.parent / "locale"


def main() -> None:
    for path in sorted(LOCALE.glob("*/LC_MESSAGES/*.po")):
        catalogue = polib.pofile(str(path))
        catalogue.save_as_mofile(str(path.with_suffix(".mo")))
        print(f"{path.relative_to(LOCALE)}: {catalogue.percent_translated()}% translated", file=sys.stderr)


if __name__ == "__main__":
    main()
