"""How traffic is split, as pure numerics: counts in, frozen values out. numpy only, no I/O."""

from allocation.engine.decision import (
    ENGINE_VERSION,
    ENGINE_VERSIONS,
    FIRST_ENGINE,
    FIRST_RULES,
    RULES,
    Decision,
    Request,
    allocate,
    allocate_many,
)
from allocation.engine.evidence.window import History
from allocation.engine.posterior.probability_best import expected_loss, probability_best
from allocation.engine.posterior.value_remaining import value_remaining
from allocation.engine.settings import Settings

__all__ = [
    "ENGINE_VERSION",
    "ENGINE_VERSIONS",
    "FIRST_ENGINE",
    "FIRST_RULES",
    "RULES",
    "Decision",
    "History",
    "Request",
    "Settings",
    "allocate",
    "allocate_many",
    "expected_loss",
    "probability_best",
    "value_remaining",
]
