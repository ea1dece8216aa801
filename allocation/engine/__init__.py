"""How traffic is split, as pure numerics: counts in, frozen values out. numpy only, no I/O."""

from allocation.engine.batch import ENGINE_VERSION, ENGINE_VERSIONS, FIRST_ENGINE, FIRST_RULES, RULES
from allocation.engine.evidence.window import History
from allocation.engine.posterior.probability_best import expected_loss, probability_best
from allocation.engine.posterior.value_remaining import value_remaining
from allocation.engine.requests import Decision, Judged, Request, allocate, allocate_many, judge_many
from allocation.engine.settings import Settings

__all__ = [
    "ENGINE_VERSION",
    "ENGINE_VERSIONS",
    "FIRST_ENGINE",
    "FIRST_RULES",
    "RULES",
    "Decision",
    "History",
    "Judged",
    "Request",
    "Settings",
    "allocate",
    "allocate_many",
    "expected_loss",
    "judge_many",
    "probability_best",
    "value_remaining",
]
