"""Python's looks for unused objects: seldom within, as often as before afterwards."""

import gc

import pytest

from experiments.collecting import collecting_seldom

pytestmark = pytest.mark.database_free


def test_collecting_seldom__two_that_overlap__the_last_to_end_sets_back_what_was_usual() -> None:
    usual = gc.get_threshold()
    one, other = collecting_seldom(), collecting_seldom()

    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    meanwhile = gc.get_threshold()
    other.__exit__(None, None, None)

    assert meanwhile > usual
    assert gc.get_threshold() == usual
