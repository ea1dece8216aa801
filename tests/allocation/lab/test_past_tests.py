"""Past tests from a file: what is read, and what is refused by line and column."""

import pytest

from allocation.exceptions import PastTestsError
from allocation.lab.past_tests import NamedTest, read_past_tests
from tests.factory import make_table

pytestmark = pytest.mark.database_free

HEADER = "experiment,variant,impressions,clicks\n"


def _read(*lines: str) -> list[NamedTest]:
    return read_past_tests(make_table("".join(lines)))


def test_read_past_tests__names_and_counts__the_control_first() -> None:
    tests = _read("\ufeff" + HEADER, "b,x,30,6\n", "a,one,5,2\n", "a,two,6,3\n", "b,control,20,1\n")

    assert [(test.name, test.variants) for test in tests] == [("b", ("control", "x")), ("a", ("one", "two"))]
    assert tests[0].counts.impressions.tolist() == [20, 30]
    assert tests[0].counts.clicks.tolist() == [1, 6]


def test_read_past_tests__several_mistakes__are_all_named_by_line_and_column() -> None:
    with pytest.raises(PastTestsError) as refusal:
        _read(HEADER, "a,x,5,1\n", "a,y,x,6\n", ",z,5,6\n", "a,x,1,1\n")

    assert [issue[:2] for issue in refusal.value.row_issues] == [
        (3, "impressions"),
        (4, "experiment"),
        (4, "clicks"),
        (5, "variant"),
    ]
    assert refusal.value.row_issues[0].message == "'x' is not a number; write it as 1234"


def test_read_past_tests__all_lines_wrong__only_the_first_mistakes_are_shown() -> None:
    with pytest.raises(PastTestsError) as refusal:
        _read(HEADER, *("a,x,-,-\n" for _ in range(1000)))

    assert len(refusal.value.row_issues) == 20
