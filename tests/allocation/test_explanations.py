from typing import Any

import pytest

from allocation.explanations import chosen_words, has_won, status_sentence

pytestmark = pytest.mark.database_free

_USUAL: dict[str, Any] = {
    "state": "optimizing",
    "leader": "green",
    "chance": 0.98,
    "value_remaining": 0.05,
    "active": 2,
    "reporting": 2,
}


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
        ({"state": "leader", "value_remaining": 0.009}, "Another variant would gain at most 0.9%."),
        (
            {"state": "leader", "chance": 0.99999999994, "value_remaining": 0.0},
            "green leads: > 99.9% probability to be best. Another variant would gain less than 0.1%. "
            "Keep running to measure the lift more precisely.",
        ),
        (
            {"state": "decided", "value_remaining": 0.004},
            "green is the best choice: with 95% probability no other variant is more than 0.4% better.",
        ),
        (
            {"state": "decided", "chance": 0.5, "value_remaining": 0.004, "level": ["red", "green"]},
            "red and green are equally good, and either can be chosen: with 95% probability no other variant is "
            "more than 0.4% better.",
        ),
        (
            {
                "state": "decided",
                "chance": 0.3,
                "value_remaining": 0.004,
                "level": ["a", "b", "c"],
                "active": 4,
            },
            "3 variants are equally good, and any of them can be chosen: with 95% probability no other variant is "
            "more than 0.4% better.",
        ),
        # hardly any successes: no absurd percentage
        ({"value_remaining": 2.5}, "up to 3.5 times as good"),
        ({"value_remaining": 500.0}, "several times better"),
        ({"value_remaining": float("inf")}, "several times better"),
        ({"chance": 0.99999}, "(> 99.9% probability to be best)"),
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
    assert words in status_sentence(**{**_USUAL, **given})


@pytest.mark.parametrize("state", ["optimizing", "leader", "decided"])
@pytest.mark.parametrize(
    ("doubt", "words"),
    [
        ("mismatch", "Traffic does not match the allocation (SRM): do not trust these numbers yet."),
        ("warned", "A guard warns. Nothing counts as decided while this holds."),
    ],
)
def test_sentence__beside_a_doubt__names_no_leader_and_advises_nothing(
    state: str, doubt: str, words: str
) -> None:
    assert status_sentence(**{**_USUAL, "state": state, doubt: True}) == words


@pytest.mark.parametrize(
    ("state", "is_leader", "chance", "won"),
    [
        ("decided", True, 0.99, True),
        ("decided", True, 0.951, True),
        # little is left to gain, but none leads for certain
        ("decided", True, 0.6, False),
        ("decided", False, 0.4, False),
        ("leader", True, 0.999, False),
        ("optimizing", True, 0.71, False),
    ],
)
def test_won__only_what_the_data_had_decided_for(
    state: str, is_leader: bool, chance: float, won: bool
) -> None:
    assert has_won(state, is_leader, chance) == won


@pytest.mark.parametrize(
    ("chance", "top", "words"),
    [
        (0.28, 0.71, "28.0% probability to be best; c was more likely, 71.0%"),
        (0.71, 0.71, "71.0% probability to be best"),
        (0.49999, 0.50001, "50.0% probability to be best"),
        (0.0, 1.0, "< 0.1% probability to be best; c was more likely, > 99.9%"),
    ],
)
def test_chosen__who_was_more_likely__is_named_where_the_numbers_show_it(
    chance: float, top: float, words: str
) -> None:
    assert chosen_words(chance, "c", top) == words
