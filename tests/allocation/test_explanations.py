from typing import Any

import pytest

from allocation.explanations import status_sentence

pytestmark = pytest.mark.database_free


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"active": 1}, "green is the only active variant and gets all traffic."),
        ({"state": "collecting"}, "Not enough data to optimize yet"),
        ({"state": "collecting", "reporting": 1}, "Waiting for data from at least two variants"),
        ({"chance": 0.62}, "No clear winner yet: green is in front with a 62.0% chance of being the best"),
        ({"state": "leader"}, "green leads with a 98.0% chance of being the best; another variant may still"),
        ({"state": "leader", "value_remaining": 0.009}, "little is left to gain"),
        (
            {"state": "decided", "value_remaining": 0.004},
            "green can be chosen: with 95% probability no variant is more than 0.4% better.",
        ),
        # hardly any successes: no absurd percentage
        ({"value_remaining": 2.5}, "up to 3.5 times as good"),
        ({"value_remaining": 500.0}, "many times as good"),
        ({"value_remaining": float("inf")}, "many times as good"),
        ({"chance": 0.99999}, "a 99.9% chance"),
        # rounded, as the tables beside it are, not cut off
        (
            {"chance": 0.65169, "value_remaining": 0.0519},
            "a 65.2% chance of being the best; another variant may",
        ),
        ({"value_remaining": 0.0519}, "up to 5.2% better"),
        ({"active": 3, "low": ["new"]}, "new does not have enough data to be judged yet."),
        ({"active": 3, "low": ["new", "c"]}, "2 variants do not have enough data to be judged yet."),
        ({"low": ["a", "b"]}, "No variant has enough data to be judged yet."),
        ({"apart": ["a", "b"]}, "These variants were never shown on the same day"),
        ({"active": 3, "apart": ["c"], "low": ["c"]}, "not to be compared with them: c."),
    ],
)
def test_sentence__each_state__says_what_the_numbers_mean(given: dict[str, Any], words: str) -> None:
    usual: dict[str, Any] = {
        "state": "optimizing",
        "leader": "green",
        "chance": 0.98,
        "value_remaining": 0.05,
        "active": 2,
        "reporting": 2,
    }

    assert words in status_sentence(**{**usual, **given})
