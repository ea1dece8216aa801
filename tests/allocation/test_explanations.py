from typing import Any

import pytest

from allocation.explanations import status_sentence

pytestmark = pytest.mark.database_free


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"active": 1}, "Only one active variant (green). Add a second one to run a test."),
        ({"state": "collecting"}, "Warming up: not enough data yet."),
        ({"state": "collecting", "reporting": 1}, "Waiting for data from at least two variants"),
        ({"chance": 0.62}, "No clear winner yet. green is ahead (62.0% probability to be best)."),
        ({"chance": 0.5}, "No clear winner yet. All variants are level."),
        ({"chance": 0.3334, "active": 3}, "No clear winner yet. All variants are level."),
        # that the best judged one has so little says that one with too little data has more
        ({"chance": 0.3, "active": 3, "low": ["new"]}, "green is ahead (30.0% probability to be best)."),
        ({"chance": 0.501}, "green is ahead (50.1% probability to be best)."),
        ({"state": "leader"}, "green leads: 98.0% probability to be best. Another variant could still"),
        ({"state": "leader", "value_remaining": 0.009}, "More data would change little."),
        (
            {"state": "decided", "value_remaining": 0.004},
            "green is the best choice: with 95% probability no other variant is more than 0.4% better.",
        ),
        # hardly any successes: no absurd percentage
        ({"value_remaining": 2.5}, "up to 3.5 times as good"),
        ({"value_remaining": 500.0}, "several times better"),
        ({"value_remaining": float("inf")}, "several times better"),
        ({"chance": 0.99999}, "(99.9% probability to be best)"),
        # rounded, as the tables beside it are, not cut off
        (
            {"chance": 0.65169, "value_remaining": 0.0519},
            "(65.2% probability to be best). Another variant could",
        ),
        ({"value_remaining": 0.0519}, "up to 5.2% better"),
        ({"active": 3, "low": ["new"]}, "new does not have enough data yet."),
        ({"active": 3, "low": ["new", "c"]}, "2 variants do not have enough data yet."),
        ({"low": ["a", "b"]}, "No variant has enough data yet."),
        ({"has_successes": False}, "No variant has a success yet; there is nothing to compare."),
        ({"has_successes": False, "low": ["a", "b"]}, "No variant has enough data yet."),
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
