"""Messages of a run's processes to the one that shows the results: fewer, where a result says nothing.

pytest-xdist tells of each test that it begins, how its set-up, its call and its clean-up went, and that it has ended.
Of 8,800 tests these messages take seconds of computing on both sides.
"""

from typing import Any

import pytest

# pytest shows no shorter ones among the slowest.
_SHOWN_SECONDS = 0.005


def tell_little(config: pytest.Config) -> None:
    """Leave out what nobody shows: that a test begins, and a set-up or clean-up without an event."""
    # Its class is one of a module that execnet runs, not of xdist.remote.
    (worker,) = (one for one in config.pluginmanager.get_plugins() if hasattr(one, "sendevent"))
    tell = worker.sendevent

    def tell_of_events(name: str, **facts: Any) -> None:
        if name != "logstart" and not (name == "testreport" and is_uneventful(facts["data"])):
            tell(name, **facts)

    worker.sendevent = tell_of_events


def is_uneventful(report: dict[str, Any]) -> bool:
    """Whether a test's set-up or clean-up has passed quickly and printed nothing."""
    when = report["when"]
    return (
        when != "call"
        and report["outcome"] == "passed"
        and report["duration"] < _SHOWN_SECONDS
        and not any(when in title for title, _ in report["sections"])
    )
