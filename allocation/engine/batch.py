"""Arrays of a batch of decisions: what is known of N experiments, their posteriors, and what is decided.

Shapes: N experiments, T days, K variants.
"""

from collections.abc import Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from allocation.engine.evidence.learned import Evidence, EvidenceRules
from allocation.engine.evidence.values import ENOUGH_ORDERS
from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.groups import GroupContest, contest_of_groups
from allocation.engine.posterior.probability_best import Bools
from allocation.engine.posterior.value_remaining import Earlier
from allocation.engine.settings import Settings

ENGINE_VERSIONS = FIRST_ENGINE, ENGINE_VERSION = ("1", "2")
# Rules that have changed within the second engine. A decision records its own, and is computed again by them. Since 2
# a retired variant may have too little data, no variant without data leads, and a change is dated by the calendar.
# Since 3 the number of a day's orders bounds the largest of them, too. Since 4 each rate lies in its interval. Since 5
# posteriors with a tiny parameter are integrated on panels that are cut beside each bend, those of many variants by
# more nodes, and value remaining on the axis of the rivals' rates. Since 6 the memory finds the same starts in fewer
# steps, but for the last digits. Since 7 value remaining of a few ordinary posteriors is found on the panels of the
# contest, and intervals on panels that are cut beside each bend, in steps of their own. Since 8 all regimes before the
# present one are found, to price their days, with one dispersion and, of values, one unit and one spread of each
# variant; and what each gave up is measured against the variants that it served, with orders enough to be judged.
FIRST_RULES, ORDERS_COUNTED, MEAN_INSIDE, BENDS_RESOLVED, FEWER_STEPS, PANELS_SHARED = 1, 3, 4, 5, 6, 7
PAST_TOGETHER = 8
RULES = PAST_TOGETHER


class Counts(NamedTuple):
    """A batch as arrays: N experiments, T days, K variants; settings as arrays of shape (N, 1).

    ``known``: their posterior, where it has been computed already. ``squares``: the sums of the values' squares where
    an experiment's goal is a value, NaN for those of counts; None where all are.
    """

    trials: Floats
    successes: Floats
    impressions_so_far: Floats
    active: Bools
    control: Bools
    previous: Floats
    settings: "SettingsArrays"
    known: "Posterior | None" = None
    squares: Floats | None = None


class SettingsArrays(NamedTuple):
    """Settings of N experiments, each of shape (N, 1); NaN for a beta_prior of None.

    ``first_engine``: decided by the rules of the first engine; ``first_rules``: by the first ones of the second, too;
    ``coarse``: by any before 5, or of the first engine; ``earlier``: by any before 6; ``unshared``: by any before 7.
    """

    alpha_prior: Floats
    beta_prior: Floats
    min_explore_rate: Floats
    control_floor: Floats
    max_daily_shift: Floats
    min_impressions: Floats
    day_adjustment: Bools
    exploitation: Floats
    memory: Bools
    dispersion: Bools
    first_engine: Bools
    first_rules: Bools
    coarse: Bools
    earlier: Bools
    unshared: Bools

    @classmethod
    def of(
        cls,
        settings: Sequence[Settings],
        versions: Sequence[str] | None = None,
        rules: Sequence[int] | None = None,
    ) -> "SettingsArrays":
        """``versions``: of the engines whose rules hold, the present one by default; ``rules``: likewise."""
        size = len(settings)
        made_by, by_rules = versions or [ENGINE_VERSION] * size, rules or [RULES] * size
        if size == 1:
            return _of_one(settings[0], made_by[0], by_rules[0])
        return _of_several(settings, made_by, by_rules)

    @property
    def before(self) -> Earlier:
        return Earlier(self.coarse[:, 0], self.unshared[:, 0])

    @property
    def evidence_rules(self) -> EvidenceRules:
        later = ~self.first_engine[:, 0]
        return EvidenceRules(
            memory=self.memory[:, 0] & later,
            dispersion=self.dispersion[:, 0] & later,
            day_adjustment=self.day_adjustment[:, 0],
            alpha_prior=self.alpha_prior[:, 0],
            beta_prior=self.beta_prior[:, 0],
            drawn_levels=later,
            earlier=self.earlier[:, 0],
        )


_NUMBERS = ("alpha_prior", "beta_prior", "min_explore_rate", "control_floor", "max_daily_shift", "min_impressions",
            "exploitation")  # fmt: skip
_SWITCHES = ("day_adjustment", "memory", "dispersion")


def _of_several(
    settings: Sequence[Settings], versions: Sequence[str], rules: Sequence[int]
) -> SettingsArrays:
    numbers = np.array([attrgetter(*_NUMBERS)(s) for s in settings], dtype=np.float64).reshape(
        -1, len(_NUMBERS)
    )
    switches = np.array([attrgetter(*_SWITCHES)(s) for s in settings], dtype=bool).reshape(-1, len(_SWITCHES))
    first = np.array([version == FIRST_ENGINE for version in versions], dtype=bool)[:, None]
    number = np.array(rules, dtype=np.intp)[:, None]
    columns: dict[str, Any] = {
        **{name: numbers[:, n, None] for n, name in enumerate(_NUMBERS)},
        **{name: switches[:, n, None] for n, name in enumerate(_SWITCHES)},
        "first_engine": first,
        "first_rules": number == FIRST_RULES,
        "coarse": (number < BENDS_RESOLVED) | first,
        "earlier": number < FEWER_STEPS,
        "unshared": (number < PANELS_SHARED) | first,
    }
    return SettingsArrays(**columns)


@lru_cache(maxsize=256)
def _of_one(settings: Settings, version: str, rules: int) -> SettingsArrays:
    """Make the arrays of one experiment, once: most have the installation's settings. They cannot be written to."""
    found = _of_several([settings], [version], [rules])
    for column in found:
        column.flags.writeable = False
    return found


class Posterior(NamedTuple):
    """The posterior of each rate and the evidence behind it, shape (N, K).

    Where the goal is a value, ``successes`` are sums of values and rates are in units of ``unit`` (N,).
    ``learned`` has the groups of posteriors that decide, where the evidence comes from counts.
    """

    trials: Floats
    successes: Floats
    effective_trials: Floats
    evidence_kept: Floats
    alpha: Floats
    beta: Floats
    learned: Evidence | None = None

    @property
    def mean(self) -> Floats:
        return self.alpha / (self.alpha + self.beta)

    @property
    def unit(self) -> Floats:
        return np.ones(len(self.alpha)) if self.learned is None else self.learned.unit

    @property
    def few_orders(self) -> Bools:
        """Too few effective orders to show how much values vary; never for counts."""
        if self.learned is None:
            return np.zeros(self.alpha.shape, dtype=bool)
        return np.asarray(self.learned.effective_orders < ENOUGH_ORDERS)

    def rows(self, chosen: Bools) -> "Posterior":
        return Posterior(
            self.trials[chosen],
            self.successes[chosen],
            self.effective_trials[chosen],
            self.evidence_kept[chosen],
            self.alpha[chosen],
            self.beta[chosen],
            self.learned and self.learned.rows(chosen),
        )

    def contest(self, active: Bools, earlier: Earlier | None = None) -> GroupContest:
        """``earlier`` (N,): whose decision is computed again by rules before."""
        if self.learned is None:
            return contest_of_groups(self.alpha[:, None], self.beta[:, None], active, earlier)
        groups, shown = (self.learned.group_alpha, self.learned.group_beta), (self.alpha, self.beta)
        return contest_of_groups(*groups, active, earlier, shown)


class BatchDecision(NamedTuple):
    """Shares and all that explains them; shape (N, K) unless said otherwise.

    ``low_evidence``: too little data to be judged, or to lead.

    ``ticks``: the shares in units of 0.0001. ``bound``: the limit that held each share (a name of BOUNDS).
    ``warm_up`` (N,): too little data to optimize. ``cap`` (N,): the daily cap in force, in ticks.
    ``reporting`` (N,): active variants with trials in the window.
    """

    ticks: NDArray[np.int64]
    previous_ticks: NDArray[np.int64]
    target: Floats
    bound: NDArray[np.str_]
    posterior: Posterior
    contest: GroupContest
    low_evidence: Bools
    lead: NDArray[np.intp]
    warm_up: Bools
    reporting: NDArray[np.intp]
    cap: NDArray[np.int64]
