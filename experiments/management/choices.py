"""Options of commands that load files: how to take what is in doubt."""

from argparse import ArgumentParser
from typing import Any

from experiments.tables.importing.report import ImportOptions


def add_choices(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--skip-bad-rows", action="store_true", help="Load the good rows and report the others."
    )
    parser.add_argument(
        "--blank",
        choices=["refuse", "skip", "zero"],
        default="refuse",
        help="A blank cell: a problem (the default), a row that is left out, or 0.",
    )
    parser.add_argument(
        "--repeated",
        choices=["refuse", "sum"],
        default="refuse",
        help="Rows of one experiment, day and variant: a problem (the default), or parts to be added up.",
    )
    parser.add_argument(
        "--new-variants",
        choices=["create", "refuse"],
        default="create",
        help="Names that are no variant of the experiment: created (the default) or refused.",
    )
    parser.add_argument(
        "--date-order",
        choices=["detect", "day_first", "month_first"],
        default="detect",
        help="How dates such as 01/11/2026 are meant; by default as the file's other dates show, else refused.",
    )


def chosen_options(given: dict[str, Any]) -> ImportOptions:
    return ImportOptions(
        on_error="skip" if given["skip_bad_rows"] else "reject",
        blank=given["blank"],
        repeated=given["repeated"],
        new_variants=given["new_variants"],
        create=given.get("create", False),
        date_order=given["date_order"],
        way_in="command",
    )
