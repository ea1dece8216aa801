"""The simulator's results in sentences: who is in front how often, what is gained, and which settings lose less."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from django.utils.translation import gettext as _

from allocation.engine.lab.recommendation import CLEAR
from allocation.engine.lab.report import SimulationResult, WatchedResult
from dashboard.templatetags.formats import count, percent

Results = dict[str, WatchedResult]


def sentences(values: Mapping[str, Any], name: str, results: Results, *, by_value: bool) -> list[str]:
    """Say what a person should know first; ``values`` are those of the form, ``name`` is the first column's."""
    found = [_first_sentence(values, name, results["a"].end, by_value=by_value)]
    if "b" in results:
        compare = _comparison_by_value if by_value else _comparison
        found.append(compare(results["a"], results["b"]))
        found.append(_sureness(results["a"].end, results["b"].end, values["runs"]))
    return found


def _first_sentence(values: Mapping[str, Any], name: str, result: SimulationResult, *, by_value: bool) -> str:
    runs = values["runs"]
    sentence = _(
        "%(name)s: after %(days)s days the best variant leads in %(right)s of %(runs)s simulations. "
        "On average it gains %(gained)s clicks vs an even split and loses %(lost)s vs always showing "
        "the best."
    )
    if by_value:
        sentence = _(
            "%(name)s: after %(days)s days the best variant leads in %(right)s of %(runs)s "
            "simulations. On average it gains a value of %(gained)s vs an even split and loses "
            "%(lost)s vs always showing the best."
        )
    return sentence % {
        "name": name,
        "days": count(values["days"]),
        "right": count(result.best_in_front * runs),
        "runs": count(runs),
        "gained": count(result.gain_over_even_mean),
        "lost": count(result.regret_mean),
    }


def _comparison(first: WatchedResult, second: WatchedResult) -> str:
    difference, values = _difference(first, second)
    if difference is None:
        return (
            _("No clear difference in clicks lost: %(a)s with A, %(b)s with B. Try more simulations.")
            % values
        )
    if difference < 0:
        return _("B loses %(less)s clicks less than A (± %(noise)s).") % values
    return _("B loses %(less)s clicks more than A (± %(noise)s).") % values


def _comparison_by_value(first: WatchedResult, second: WatchedResult) -> str:
    difference, values = _difference(first, second)
    if difference is None:
        return (
            _("No clear difference in value lost: %(a)s with A, %(b)s with B. Try more simulations.") % values
        )
    if difference < 0:
        return _("B loses a value of %(less)s less than A (± %(noise)s).") % values
    return _("B loses a value of %(less)s more than A (± %(noise)s).") % values


def _difference(first: WatchedResult, second: WatchedResult) -> tuple[float | None, dict[str, str]]:
    """Compare the means of independent runs; None where the difference is within its error."""
    difference = second.end.regret_mean - first.end.regret_mean
    noise = _noise(first.regret_standard_error, second.regret_standard_error)
    values = {
        "a": count(first.end.regret_mean),
        "b": count(second.end.regret_mean),
        "noise": count(noise),
        "less": count(abs(difference)),
    }
    return (None if noise is None or abs(difference) <= noise else difference), values


def _noise(first: float | None, second: float | None) -> float | None:
    """Find the least difference that is clear, from two standard errors; None where one is unknown."""
    return None if first is None or second is None else CLEAR * float(np.hypot(first, second))


def _sureness(first: SimulationResult, second: SimulationResult, runs: int) -> str:
    """Compare how often the best is found, beside the standard error: less regret is not more knowledge.

    One run more on either side, so that 20 of 20 is not taken for certainty (Agresti & Caffo 2000).
    """
    right = np.array([first.best_in_front, second.best_in_front])
    rate = (right * runs + 1) / (runs + 2)
    noise = CLEAR * float(np.sqrt((rate * (1 - rate)).sum() / (runs + 2)))
    return _(
        "The best variant leads in %(a)s of the simulations with A and in %(b)s with B; up to "
        "%(noise)s points may be chance."
    ) % {"a": percent(right[0], 0), "b": percent(right[1], 0), "noise": count(np.ceil(100 * noise))}
