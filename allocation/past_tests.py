"""Reading a file of tests that are over: experiment,variant,impressions,clicks, a row for each variant."""

import csv
from pathlib import Path

import numpy as np
from django.core.management.base import CommandError

from allocation.engine.backtest import PastTest

_COLUMNS = ("experiment", "variant", "impressions", "clicks")
_MAX_COUNT = 10**12
_MAX_VARIANTS = 100
_Counts = dict[str, tuple[int, int]]


def read_past_tests(path: Path) -> list[PastTest]:
    """The tests in the file's order. Raises CommandError that names the line and what is wrong with it."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            experiments = _read_rows(csv.DictReader(file), path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CommandError(f"{path} cannot be read: {error}") from error
    if not experiments:
        raise CommandError(f"{path} has no rows")
    return [_past_test(name, variants) for name, variants in experiments.items()]


def _read_rows(reader: "csv.DictReader[str]", path: Path) -> dict[str, _Counts]:
    missing = [column for column in _COLUMNS if column not in (reader.fieldnames or [])]
    if missing:
        raise CommandError(f"{path} lacks the column {missing[0]}; it needs {','.join(_COLUMNS)}")
    experiments: dict[str, _Counts] = {}
    for row in reader:
        variants = experiments.setdefault(row["experiment"], {})
        if row["variant"] in variants:
            raise CommandError(
                f"line {reader.line_num}: {row['variant']} of {row['experiment']} stands there twice"
            )
        variants[row["variant"]] = _counts(row, reader.line_num)
    return experiments


def _counts(row: dict[str, str], line: int) -> tuple[int, int]:
    impressions, clicks = (_count(row, column, line) for column in ("impressions", "clicks"))
    if clicks > impressions:
        raise CommandError(f"line {line}: clicks {clicks:,} exceed impressions {impressions:,}")
    return impressions, clicks


def _count(row: dict[str, str], column: str, line: int) -> int:
    text = row[column] or ""
    if not (text.isascii() and text.isdigit() and len(text) <= 13 and int(text) <= _MAX_COUNT):
        raise CommandError(
            f"line {line}: {column} must be a whole number from 0 to {_MAX_COUNT:,}, not {text!r}"
        )
    return int(text)


def _past_test(name: str, variants: _Counts) -> PastTest:
    if not 2 <= len(variants) <= _MAX_VARIANTS:
        raise CommandError(f"experiment {name} has {len(variants)} variants; it needs 2 to {_MAX_VARIANTS}")
    # the control comes first: the variant of that name, else the first listed
    ordered = sorted(variants, key=lambda variant: variant != "control")
    counts = np.array([variants[variant] for variant in ordered], dtype=np.float64)
    return PastTest(impressions=counts[:, 0], clicks=counts[:, 1])
