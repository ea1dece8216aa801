"""Files of tests that are over: experiment,variant,impressions,clicks, a row for each variant.

Where the goal is a value, conversions,value_sum,value_squares stand in the place of clicks.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from django.conf import settings
from django.utils.translation import gettext as _

from allocation.engine.lab.backtest import PastTest
from allocation.exceptions import PastTestsError
from experiments.exceptions import InvalidError, Issue
from experiments.metrics import MEASURES, Reward, fewest_squares, most_squares
from experiments.models import MAX_VARIANTS
from experiments.tables.importing.rows import LineReader, as_name, name_problem
from experiments.tables.issues import RowIssue, shown
from experiments.tables.reading.header import Columns, find_header
from experiments.tables.reading.numbers import NumberError, is_blank
from experiments.tables.reading.opening import open_table
from experiments.tables.reading.source import Table
from experiments.tables.reading.total_names import is_total
from experiments.text import format_number
from experiments.variants import control_among, plain_name

# What past tests can be played for, and the numbers that each needs, the trials first.
GOALS: Mapping[Reward, tuple[str, ...]] = {
    Reward.CTR: ("impressions", "clicks"),
    Reward.VALUE_PER_IMPRESSION: ("impressions", "conversions", "value_sum", "value_squares"),
}
Repeated = Literal["refuse", "sum"]
_TEXTS = ("experiment_id", "variant_name")
_HIGHEST = {measure.name: measure.highest for measure in MEASURES}
# A wrong file is refused with its first mistakes, not with all of them.
_MOST_ISSUES = 20
# Each test of a file has much the same names.
_remembered_form = lru_cache(maxsize=1024)(plain_name)
_LONGEST_REMEMBERED = 200
# The numbers of a variant, in the order of its goal's.
_Numbers = tuple[Any, ...]


@dataclass(frozen=True)
class NamedTest:
    """A past test with its names; ``counts`` are in the order of ``variants``, the control first."""

    name: str
    variants: tuple[str, ...]
    counts: PastTest


@dataclass
class _Found:
    """A test as far as it is read: its first line, the counts of each variant, by its name and the name by its plain
    form, and the lines of possible totals.
    """

    line: int
    variants: dict[str, _Numbers] = field(default_factory=dict)
    forms: dict[str, str] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)


def _form(name: str) -> str:
    return _remembered_form(name) if len(name) <= _LONGEST_REMEMBERED else plain_name(name)


def read_past_tests(
    table: Table,
    goal: Reward = Reward.CTR,
    repeated: Repeated = "refuse",
) -> list[NamedTest]:
    """Read the tests in the file's order; PastTestsError names line, column and what is wrong there.

    ``repeated``: rows of one variant are refused, or parts to be added up.
    """
    try:
        reader = LineReader(find_header(table, _columns(goal)))
        tests, issues = _read(reader, GOALS[goal], repeated)
    except InvalidError as error:
        raise PastTestsError([RowIssue(0, "", issue.message) for issue in error.issues]) from error
    issues += [issue for test in tests.values() for issue in _total_issues(test, reader.names)]
    if not tests and not issues:
        raise PastTestsError([RowIssue(0, "", _("the file has no rows"))])
    if found := issues or list(_size_issues(tests, reader.names)):
        raise PastTestsError(found[:_MOST_ISSUES])
    return [_past_test(name, test.variants) for name, test in tests.items()]


@lru_cache(maxsize=1)
def sample_of_past_tests() -> Sequence[NamedTest]:
    """Read the sample of real tests, once in a process: it stays the same, and takes longer than a page does."""
    file = Path(settings.BASE_DIR, "benchmarks", "data", "upworthy_tests.csv")
    return tuple(read_past_tests(open_table(lambda: file.open("rb"))))


def past_tests_of(tests: Sequence[Mapping[str, Any]], goal: Reward, repeated: Repeated) -> list[PastTest]:
    """Take tests that are no file, in the order of their variants; InvalidError names what is wrong, by its place."""
    issues: list[Issue] = []
    taken = []
    for place, test in enumerate(tests):
        variants, found = _given(test["variants"], GOALS[goal], repeated)
        issues += [issue._replace(field=f"tests[{place}].{issue.field}") for issue in found]
        taken.append(variants)
    if issues:
        raise InvalidError(issues[:_MOST_ISSUES], total_issues=len(issues))
    return [_counts(list(variants.values())) for variants in taken]


def _given(
    variants: Sequence[Mapping[str, Any]], columns: tuple[str, ...], repeated: Repeated
) -> tuple[dict[str, _Numbers], list[Issue]]:
    taken: dict[str, _Numbers] = {}
    issues = []
    for place, variant in enumerate(variants):
        name, at = variant["variant"], f"variants[{place}]"
        missing = [
            Issue(f"{at}.{c}", "required", _("is needed for this goal")) for c in columns if c not in variant
        ]
        numbers = {column: variant.get(column, 0) for column in columns}
        issues += missing or [Issue(f"{at}.{c}", "inconsistent", said) for c, said in problem(numbers)]
        if name in taken and repeated == "refuse":
            message = _("%(variant)s is listed twice; add its rows up into one (repeated=sum)")
            issues.append(Issue(f"{at}.variant", "duplicate", message % {"variant": shown(name)}))
        taken[name] = _added(taken.get(name), tuple(numbers.values()))
    if len(taken) < 2 and not issues:
        issues.append(Issue("variants", "too_few", _("needs at least two variants")))
    return taken, issues


def _columns(goal: Reward) -> Columns:
    numbers = {name: name for name in GOALS[goal]}
    return Columns({"experiment_id": "experiment", "variant_name": "variant", **numbers})


def _read(
    reader: LineReader, columns: tuple[str, ...], repeated: Repeated
) -> tuple[dict[str, _Found], list[RowIssue]]:
    tests: dict[str, _Found] = {}
    issues: list[RowIssue] = []
    for line, cells in reader.header.lines():
        if not any(cell.strip() for cell in cells):
            continue
        if len(issues) >= _MOST_ISSUES:
            break
        if problem := reader.cell_problem(line, cells):
            issues.append(problem)
            continue
        experiment, variant = (as_name(cells[reader.header.places[column]]) for column in _TEXTS)
        test = tests.setdefault(experiment, _Found(line))
        numbers, found = _numbers(reader, columns, line, cells)
        named = _name_issues(reader, line, experiment, variant, test, repeated)
        found = [*named, *found]
        issues += found
        if not found:
            test.variants[variant] = _added(test.variants.get(variant), numbers)
            test.forms.setdefault(_form(variant), variant)
            if is_total(variant):
                test.totals[variant] = line
    return tests, issues


def _name_issues(
    reader: LineReader, line: int, experiment: str, variant: str, test: _Found, repeated: Repeated
) -> Iterator[RowIssue]:
    for column, text in zip(_TEXTS, (experiment, variant), strict=True):
        if problem := name_problem(text):
            yield RowIssue(line, reader.names[column], problem)
    like = test.forms.get(_form(variant))
    if like is not None and not (like == variant and repeated == "sum"):
        message = _("%(variant)s of %(experiment)s is listed twice; add its rows up into one (repeated=sum)")
        names = {"variant": shown(variant), "experiment": shown(experiment)}
        if like != variant:
            message = _("%(variant)s of %(experiment)s is listed as %(known)s, too; write one name for both")
            names["known"] = shown(like)
        yield RowIssue(line, reader.names["variant_name"], message % names)


def _added(before: _Numbers | None, numbers: _Numbers) -> _Numbers:
    return numbers if before is None else tuple(a + b for a, b in zip(before, numbers, strict=True))


def _numbers(
    reader: LineReader, columns: tuple[str, ...], line: int, cells: list[str]
) -> tuple[_Numbers, list[RowIssue]]:
    """Read a variant's numbers; what is wrong comes beside them."""
    numbers: dict[str, Any] = dict.fromkeys(columns, 0)
    issues = []
    for column in columns:
        try:
            numbers[column] = _number(reader, column, cells[reader.header.places[column]])
        except NumberError as error:
            issues.append(RowIssue(line, reader.names[column], str(error)))
    if not issues:
        found = problem(numbers)
        issues += [RowIssue(line, reader.names[column], said) for column, said in found]
    return tuple(numbers.values()), issues


def problem(numbers: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name what cannot be of a variant's numbers: the column, and why. Each is in its range by itself."""
    for name in ("clicks", "conversions"):
        if numbers.get(name, 0) > numbers["impressions"]:
            message = _("%(name)s %(successes)s exceed impressions %(impressions)s")
            values = {"successes": numbers[name], "impressions": numbers["impressions"]}
            written = {key: format_number(value, 0) for key, value in values.items()}
            return [(name, message % {"name": name, **written})]
    total, squares = numbers.get("value_sum", 0), numbers.get("value_squares", 0.0)
    if squares > most_squares(total):
        message = _(
            "value_squares (%(squares)s) is too large for a sum of %(sum)s, whose squares add up to %(most)s at most: "
            "square each single value, in the unit of the sum, then add the squares up"
        )
        values = {"squares": f"{squares:.15g}", "sum": total, "most": f"{float(total) ** 2:.15g}"}
        return [("value_squares", message % values)]
    if squares < fewest_squares(total, numbers.get("conversions", 0)):
        message = _(
            "value_squares (%(squares)s) is too small for %(orders)s orders that add up to %(sum)s: square each single "
            "value, then add the squares up"
        )
        values = {"squares": squares, "orders": numbers["conversions"], "sum": total}
        return [("value_squares", message % values)]
    return []


def _number(reader: LineReader, column: str, cell: str) -> Any:
    if is_blank(cell):
        raise NumberError(_("is blank; give a number, 0 if there were none"))
    value, highest = reader.number(column, cell), _HIGHEST[column]
    if not 0 <= value <= highest:
        message = _("%(value)s is not from 0 to %(most)s")
        raise NumberError(message % {"value": shown(cell), "most": format_number(highest, 0)})
    return value


def _total_issues(test: _Found, names: dict[str, str]) -> Iterable[RowIssue]:
    """Refuse a row called Total, or the like, that holds the sum of the test's other rows."""
    others = [counts for variant, counts in test.variants.items() if variant not in test.totals]
    sums = tuple(sum(column) for column in zip(*others, strict=True)) if others else ()
    for variant, line in test.totals.items():
        if test.variants[variant] == sums:
            message = _("%(name)s is a row of totals: it holds the sum of the test's other rows; remove it")
            yield RowIssue(line, names["variant_name"], message % {"name": shown(variant)})


def _size_issues(tests: dict[str, _Found], names: dict[str, str]) -> Iterator[RowIssue]:
    for name, test in tests.items():
        if not 2 <= len(test.variants) <= MAX_VARIANTS:
            message = _("experiment %(name)s has %(count)s variants; it needs 2 to %(most)s")
            values = {"name": name[:40], "count": len(test.variants), "most": MAX_VARIANTS}
            yield RowIssue(test.line, names["variant_name"], message % values)


def _past_test(name: str, variants: Mapping[str, _Numbers]) -> NamedTest:
    """Put a test's numbers, as its goal has them, into the engine's arrays."""
    control = control_among(list(variants))  # it comes first
    ordered = sorted(variants, key=lambda variant: variant != control)
    return NamedTest(name, tuple(ordered), _counts([variants[variant] for variant in ordered]))


def _counts(numbers: Sequence[_Numbers]) -> PastTest:
    return PastTest(*np.array([[float(number) for number in row] for row in numbers]).T)
