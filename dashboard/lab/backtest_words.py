"""Sentences about a backtest: which settings perform best, by how much, and what they cost."""

from collections.abc import Sequence

import numpy as np
from django.utils.translation import gettext as _

from allocation.engine.analysis.gains import NORMAL_95
from allocation.engine.lab.backtest import PolicyResult
from allocation.engine.lab.recommendation import Estimate, Recommendation, ratio
from dashboard.lab.columns import Column
from dashboard.templatetags.formats import count, gained, percent

Results = dict[str, PolicyResult]


def sentences_of(
    results: Results, service: Sequence[Column], found: Recommendation, *, by_value: bool, is_single: bool
) -> list[str]:
    """Say which settings perform best, how they compare with the current ones, and what they cost.

    ``is_single``: there is one test alone, which says too little for a comparison.
    """
    best = service[found.best]
    share = ratio(results[best.key].regret_by_test, results["even"].regret_by_test)
    if share is None and by_value:
        return [_("An even split lost no value in these tests, so there was nothing to save.")]
    if share is None:
        return [_("An even split lost no clicks in these tests: there was nothing to gain.")]
    message = _("%(name)s performs best: %(ratio)s of the regret of an even split, %(gained)s clicks.")
    if by_value:
        message = _(
            "%(name)s performs best: %(ratio)s of the regret of an even split, a value of %(gained)s."
        )
    over_even = results[best.key].gain_over_even
    gain = f"{'+' if over_even > 0 else ''}{gained(over_even, by_value)}"
    sentences = [message % {"name": best.name, "ratio": percent_with_error(share), "gained": gain}]
    if is_single:
        return [*sentences, _("One test says little: which settings lose least differs from test to test.")]
    return [*sentences, _comparison(service, found, by_value=by_value), *_price(results, best)]


def _comparison(service: Sequence[Column], found: Recommendation, *, by_value: bool) -> str:
    """Compare with the installation's settings, which a reader would change."""
    installed = next(place for place, column in enumerate(service) if column.key == "installed")
    if found.best == installed:
        return _("These are the current default settings: there is nothing to change.")
    gap = found.lead[installed]
    values = {
        "gap": gained(gap.value, by_value),
        "noise": gained(NORMAL_95 * gap.standard_error, by_value),
    }
    return _gap_message(by_value=by_value, is_clear=gap.is_clear) % values


def _gap_message(*, by_value: bool, is_clear: bool) -> str:
    if is_clear and by_value:
        return _("The current settings lost %(gap)s of value more (± %(noise)s).")
    if is_clear:
        return _("The current settings lost %(gap)s clicks more (± %(noise)s).")
    if by_value:
        return _(
            "No clear difference from the current settings: they lost %(gap)s of value more (± "
            "%(noise)s). Keep them unless there are other reasons."
        )
    return _(
        "No clear difference from the current settings: they lost %(gap)s clicks more (± %(noise)s). "
        "Keep them unless there are other reasons."
    )


def _price(results: Results, best: Column) -> list[str]:
    """Say what less regret costs: a variant that is served less is known less."""
    mine, installed = results[best.key].best_in_front, results["installed"].best_in_front
    if mine >= installed:
        return []
    message = _(
        "Trade-off: it identifies the best variant in %(mine)s of the tests instead of %(installed)s."
    )
    return [message % {"mine": percent(mine, 0), "installed": percent(installed, 0)}]


def percent_with_error(estimate: Estimate) -> str:
    value = percent(estimate.value, 0)
    if not np.isfinite(estimate.standard_error):
        return value
    return f"{value} ± {count(max(100 * NORMAL_95 * estimate.standard_error, 1))}"
