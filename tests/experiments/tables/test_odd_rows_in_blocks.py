"""A single odd row of a good file is judged, wherever it is among the blocks that are read and checked at once."""

import datetime as dt
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from django.db import transaction
from hypothesis import example, given, settings
from hypothesis import strategies as st

from experiments.metrics import DailyCounts, Reward
from experiments.models import DailyMetric, Experiment
from experiments.tables.importing.importer import Target, import_table
from experiments.tables.importing.report import ImportOptions, ImportReport
from tests.factory import NOW, TODAY, make_experiment, make_table, record

# Blocks are read and judged in Python; what each database stores of a file is in test_blocks and test_importer.
pytestmark = [pytest.mark.django_db, pytest.mark.database_free]

_HEADER = "experiment_id,date,variant_name,impressions,clicks,conversions,value_sum,value_squares"
# The rows of the first 500 lines are looked at one by one, as the first of each experiment is: those behind are not.
_DAYS = [TODAY - dt.timedelta(days=n) for n in range(1800)]
_COUNTS = "100,10,1,12.50,156.25"
_MIDDLE, _LATER = 750, 1600


def _make(**fields: Any) -> Experiment:
    """Make an experiment whose control has a name that is not its key."""
    made = make_experiment(**fields)
    made.variants.create(key="control", name="Blue", is_control=True)
    return made


@pytest.fixture
def experiment() -> Experiment:
    return _make()


def _load(
    experiment: Experiment, lines: Sequence[str], header: str = _HEADER, **options: Any
) -> ImportReport:
    """Record lines; those of the experiment alone where the header has no column for it."""
    target = Target() if header.startswith("experiment_id") else Target(experiment)
    table = make_table("\n".join([header, *lines, ""]))
    return import_table(table, today=TODAY, now=NOW, options=ImportOptions(**options), target=target)


def _lines(experiment: Experiment) -> list[str]:
    return [f"{experiment.key},{day},Blue,{_COUNTS}" for day in _DAYS]


class Odd(NamedTuple):
    """A row of the day that is at its place in the file, or of the day ``back`` lines before, and its problem."""

    name: str
    said: str
    counts: str = _COUNTS
    back: int = 1
    options: dict[str, Any] = {}  # noqa: RUF012  # nobody changes it


_ODD = {
    "twin of the row before": Odd("Blue", "the same experiment, date and variant are on line {first}"),
    "twin of a row of an earlier block": Odd(
        "Blue", "the same experiment, date and variant are on line {first}", back=700
    ),
    "twin of the row before, by key": Odd(
        "control", "the same experiment, date and variant are on line {first}"
    ),
    "twin of a row of an earlier block, by key": Odd(
        "control", "the same experiment, date and variant are on line {first}", back=700
    ),
    "total": Odd("Total", "'Total' is a row of totals: it holds the sum of the day's other rows; remove it"),
    "like another": Odd("BLUE", "'Blue'"),
    "new": Odd("Green", "'Green'", options={"new_variants": "refuse"}),
    "clicks": Odd("Green", "clicks", counts="100,101,1,12.50,156.25"),
    "values": Odd("Green", "squares", counts="100,10,1,12.50,1"),
    "no number": Odd("Green", "'ten' is not a number", counts="ten,10,1,12.50,156.25"),
}


# Beside another problem nothing is written, and the check alone says what is wrong.
@pytest.mark.parametrize("beside", [0, 1], ids=["alone", "beside another"])
@pytest.mark.parametrize("place", [_MIDDLE, _LATER])
@pytest.mark.parametrize("odd", _ODD.values(), ids=_ODD)
def test_import__one_odd_row_among_good_ones__is_refused(
    experiment: Experiment, odd: Odd, place: int, beside: int
) -> None:
    lines = _lines(experiment)
    first = place - odd.back
    lines.insert(place, f"{experiment.key},{_DAYS[first]},{odd.name},{odd.counts}")
    lines += [f"{experiment.key},2001-01-01,Blue,ten,1,1,1,1"] * beside

    report = _load(experiment, lines, **odd.options)

    said = {issue.line: issue.message for issue in report.issues}
    assert odd.said.format(first=first + 2) in said.pop(place + 2)
    # both of two twins are refused
    assert set(said) <= {first + 2, *[len(lines) + 1] * beside}
    assert (report.total_rows, report.processed_rows) == (1801 + beside, 0)
    assert not DailyMetric.objects.exists()


@pytest.mark.parametrize("beside", [0, 1], ids=["alone", "beside another"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Blue", "no impressions are stored of that day"),
        ("Total", "'Total' is a row of totals; remove it"),
        ("BLUE", "'BLUE' differs from 'Blue'"),
        ("Green", "no impressions are stored of that day"),
    ],
)
def test_import__orders_without_impressions_among_many__are_refused(
    name: str, said: str, beside: int
) -> None:
    experiment = _make(reward=Reward.VALUE_PER_IMPRESSION)
    days = _DAYS[:1200]
    record(experiment, *(DailyCounts(day, "Blue", 100, 10, 0) for day in days if day != days[_MIDDLE]))
    lines = [
        f"{day},{name if day == days[_MIDDLE] else 'Blue'},{value}"
        for day in days
        for value in ("12.50", "3")
    ]

    lines += ["2001-01-01,Blue,ten"] * beside

    report = _load(experiment, lines, "date,variant_name,value", on_error="reject" if beside else "skip")

    issue, *others = report.issues
    assert issue.line == 2 * _MIDDLE + 2
    assert said in issue.message
    assert len(others) == beside
    assert (report.total_rows, report.processed_rows) == (2400 + beside, 0 if beside else 2398)
    assert not experiment.variants.exclude(name="Blue").exists()


_SOME_DAYS = st.sampled_from([str(day) for day in [*_DAYS[:3], TODAY + dt.timedelta(days=9)]])
_NAMES = st.sampled_from(["Blue"] * 6 + ["control", "BLUE", "Green", "Total", ""])
_SOME_COUNTS = st.sampled_from(
    [_COUNTS] * 6 + ["200,20,2,25,400", "10,11,1,5,25", "10,1,1,5,1", "ten,1,,5,25"]
)
_SIZES = (1, 3, 500)


def _outcome(lines: Sequence[str], size: int, header: str = _HEADER, **options: Any) -> tuple[Any, ...]:
    """Read lines in blocks of this size, record them, and take it back."""
    with transaction.atomic(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.tables.importing.blocks._BLOCK", size)
        experiment = _make(reward=Reward.VALUE_PER_IMPRESSION)
        make_experiment("other")
        record(experiment, *(DailyCounts(day, "Blue", 100, 10, 0) for day in _DAYS[:2]))
        report = _load(experiment, [line.format(key=experiment.key) for line in lines], header, **options)
        stored = DailyMetric.objects.order_by("variant__experiment_id", "variant__key", "date")
        rows = list(stored.values_list("variant__name", "date", "impressions", "conversions", "value_sum"))
        transaction.set_rollback(True)
    counted = (report.total_rows, report.processed_rows, report.total_issues, report.blank_skipped)
    return report.issues, counted, dict(report.kinds), report.new_variants, rows


_OPTIONS = st.fixed_dictionaries(
    {
        "on_error": st.sampled_from(["reject", "skip"]),
        "repeated": st.sampled_from(["refuse", "sum"]),
        "new_variants": st.sampled_from(["create", "refuse"]),
        "blank": st.sampled_from(["refuse", "skip", "zero"]),
    }
)
_FIRST = f"{{key}},{_DAYS[0]},Blue,{_COUNTS}"
_KEYS = st.sampled_from(["{key}"] * 6 + ["other", "nowhere", ""])


# In blocks of 500 these few are the first rows of their experiments, and judged one by one.
@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(_KEYS, _SOME_DAYS, _NAMES, _SOME_COUNTS).map(",".join), max_size=12), _OPTIONS)
@example([f"{{key}},{_DAYS[1]},Total,{_COUNTS}", f"{{key}},{_DAYS[1]},Blue,{_COUNTS}"], {})
def test_import__in_blocks_of_any_size__comes_to_what_it_comes_to_row_by_row(
    lines: list[str], options: dict[str, Any]
) -> None:
    one, few, many = (_outcome([_FIRST, *lines], size, **options) for size in _SIZES)

    assert one == many
    assert few == many


_ORDER_VALUES = st.sampled_from(["12.50", "3", '"1,234.5"', "", "x", "-1"])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(_SOME_DAYS, _NAMES, _ORDER_VALUES).map(",".join), max_size=12), _OPTIONS)
def test_import__of_orders_in_blocks_of_any_size__comes_to_what_it_comes_to_row_by_row(
    lines: list[str], options: dict[str, Any]
) -> None:
    one, few, many = (
        _outcome([f"{_DAYS[0]},Blue,1", *lines], size, "date,variant_name,value", **options)
        for size in _SIZES
    )

    assert one == many
    assert few == many
