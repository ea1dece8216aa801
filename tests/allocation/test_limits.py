import ast
import inspect

import pytest
from django.template.defaultfilters import striptags

from allocation.engine import decision
from allocation.engine.limits_preview import reach_of
from allocation.limits import LIMITS, NO_LIMIT, promises

pytestmark = pytest.mark.database_free


def test_limits__every_name_of_the_engine__is_in_the_table() -> None:
    tree = ast.parse(inspect.getsource(decision))
    names = next(node for node in ast.walk(tree) if getattr(node, "name", "") == "_bound_names")
    keys = {key.value for node in ast.walk(names) if isinstance(node, ast.Dict) for key in node.keys
            if isinstance(key, ast.Constant)}  # fmt: skip

    assert keys | {NO_LIMIT} == set(LIMITS)


def test_limits__held_share__is_said_beside_it_and_in_the_log() -> None:
    held = [limit for limit in LIMITS.values() if limit.key != NO_LIMIT]

    assert all(limit.held for limit in held)
    assert len({limit.reason for limit in LIMITS.values()}) == len(LIMITS)
    assert LIMITS["cap_up"].reason.format(name="{b}", chance="97.0%") == (
        "{b} leads: 97.0% likely to be the best. The daily cap limits how fast its share grows."
    )


def test_promises__before_any_data__figures_with_the_digits_they_have() -> None:
    reach = reach_of(4, control_floor=0.1, min_explore_rate=0.05, max_daily_shift=0.0725)

    assert [striptags(text) for text in promises(reach)] == [
        "The control never gets less than 10.0%.",
        "Every other variant gets at least 1.25%.",
        "Shares change by at most 7.25 percentage points per day.",
    ]
