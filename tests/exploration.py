"""Which examples hypothesis tries: the same in every run; with HYPOTHESIS_PROFILE=explore others, and more of them.

A tree that has passed must pass again, so ``./dev test`` draws the examples of a test from its text alone. What no run
has tried is looked for where a failure refuses nothing: by hand, and once a week by .github/workflows/explore.yml.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any

import hypothesis

EXPLORING = os.environ.get("HYPOTHESIS_PROFILE") == "explore"
# For tests that make their settings when they run.
TIMES = 10 if EXPLORING else 1
_SLOW = hypothesis.HealthCheck.too_slow
# Where hypothesis keeps the settings of a test.
_SETTINGS = "_hypothesis_internal_use_settings"


def load_profile() -> None:
    """Choose the profile that the environment names. A busy machine makes an example slow, not wrong."""
    both: dict[str, Any] = {"deadline": None, "print_blob": True, "suppress_health_check": [_SLOW]}
    hypothesis.settings.register_profile("sure", derandomize=True, **both)
    hypothesis.settings.register_profile("explore", derandomize=False, **both)
    hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "sure"))


def adapt(tests: Iterable[Callable[..., Any]], times: int = TIMES) -> None:
    """Let each test of hypothesis try that many times the examples of its own settings, and take its time for them."""
    for test in {id(test): test for test in tests}.values():
        own = getattr(test, _SETTINGS, None)
        if own is not None:
            adapted = hypothesis.settings(
                own,
                max_examples=own.max_examples * times,
                suppress_health_check=[*own.suppress_health_check, _SLOW],
            )
            setattr(test, _SETTINGS, adapted)
