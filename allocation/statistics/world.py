"""The world that an experiment was observed in, for tools that play it again: rates, traffic, values of orders."""

from typing import NamedTuple

import numpy as np

from allocation.statistics.experiment import Analysis, VariantStatistics

_RECENT_DAYS = 14


class ObservedWorld(NamedTuple):
    """Rates of the active variants that have any, the control first, and trials a day of the latest days with data.

    ``order_values`` and ``value_cv`` where the goal is a value: the mean worth of a success by variant, and how far
    single values spread around their mean; the rates are then those of successes. ``has_control``: the first rate is
    the control's; where that has none, it is another's.
    """

    rates: list[float]
    daily_trials: int
    order_values: list[float] | None = None
    value_cv: float | None = None
    has_control: bool = False


def observed_world(analysis: Analysis, most_variants: int) -> ObservedWorld | None:
    """Read the world; None without data.

    Nothing is known of rates before the first success, nor of what the orders of a variant without any are worth.
    """
    goal, measures = analysis.inputs.reward, analysis.history.measures
    trials = goal.trials(measures)
    by_day = trials.sum(axis=1)
    variants = analysis.statistics.variants
    places = _places(variants, trials.sum(axis=0), most_variants)
    if not places or not by_day.any():
        return None
    daily = max(round(float(by_day[by_day > 0][-_RECENT_DAYS:].mean())), 1)
    if not goal.is_value:
        if not goal.successes(measures)[:, places].any():
            return ObservedWorld([], daily)
        rates = [variants[place].rate for place in places]
        return ObservedWorld(rates, daily, has_control=variants[places[0]].is_control)
    sold, earned = measures.conversions.sum(axis=0), measures.value_sum.sum(axis=0)
    places = [place for place in places if sold[place] > 0 and earned[place] > 0]
    if not places:
        return ObservedWorld([], daily)
    orders, worth = sold[places], earned[places]
    squares = measures.value_squares.sum(axis=0)[places]
    cv = np.sqrt(max(float(squares.sum() * orders.sum() / worth.sum() ** 2) - 1, 0.0))
    rates = (orders / trials.sum(axis=0)[places]).tolist()
    has_control = variants[places[0]].is_control
    return ObservedWorld(rates, daily, (worth / orders).tolist(), float(cv), has_control)


def _places(variants: list[VariantStatistics], trials: np.ndarray, most: int) -> list[int]:
    """Choose the control and those with the most trials, in their order; none that was never shown."""
    shown = [n for n, variant in enumerate(variants) if variant.is_active and trials[n] > 0]
    shown.sort(key=lambda n: (not variants[n].is_control, -trials[n]))
    chosen = shown[:most]
    return [n for n in chosen if variants[n].is_control] + sorted(
        n for n in chosen if not variants[n].is_control
    )
