"""How much evidence is there about each variant's present rate?

Dispersion, memory, day levels, posterior: the counts of a window go in, Beta posteriors come out. Five groups of regime
starts, equally likely, have a posterior each, and decide together (posterior.groups); the average
weights have one as well, which is what is shown. The prior is centred on the experiment's own rate mu, alpha_prior
successes strong: Beta(alpha_prior, alpha_prior (1 / mu - 1)), so that ignorance is no merit.

Where the goal is a value, successes are sums of values, given with the sums of their squares; they are counted in
effective orders, and posteriors are those of rates in units of U (evidence.values).

Shapes: trials and successes (T, K), days by variants, oldest first; N experiments of the same T and K at once, and
zeros where there is no data. Variants without trials and days without trials change nothing for the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from allocation.engine.evidence.day_effects import adjusted_evidence
from allocation.engine.evidence.day_levels import level_evidence
from allocation.engine.evidence.dispersion import dispersion
from allocation.engine.evidence.memory import GROUPS, change_found, day_weights, group_weights, regime_starts
from allocation.engine.evidence.values import Units, units_of
from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.probability_best import Bools

# A prior of less says the same, that the rate is 0 or 1, and its reciprocal leaves the range of floats.
SMALLEST_PARAMETER = 1e-9
# Less than this part of the trials is the rounding of a sum: then every trial was a success.
_NO_FAILURE = 1e-12
# Counts in one temporary array: about what a core's own cache holds.
_CHUNK_COUNTS = 1 << 14


@dataclass(frozen=True)
class EvidenceSettings:
    """The settings that evidence depends on; with a ``beta_prior`` of None it is centred on the experiment's own rate.

    ``drawn_levels`` False: day effects by maximum likelihood, as the first engine had them. ``earlier``: as before
    rules 6, whose last digits were others.
    """

    memory: bool = True
    dispersion: bool = True
    day_adjustment: bool = True
    alpha_prior: float = 1.0
    beta_prior: float | None = None
    drawn_levels: bool = True
    earlier: bool = False


class EvidenceRules(NamedTuple):
    """The settings of N experiments, (N,) each; NaN for a beta_prior of None."""

    memory: Bools
    dispersion: Bools
    day_adjustment: Bools
    alpha_prior: Floats
    beta_prior: Floats
    drawn_levels: Bools
    earlier: Bools

    @classmethod
    def of(cls, settings: Sequence[EvidenceSettings]) -> "EvidenceRules":
        return cls(
            memory=np.array([s.memory for s in settings], dtype=bool),
            dispersion=np.array([s.dispersion for s in settings], dtype=bool),
            day_adjustment=np.array([s.day_adjustment for s in settings], dtype=bool),
            alpha_prior=np.array([s.alpha_prior for s in settings], dtype=np.float64),
            beta_prior=np.array([s.beta_prior for s in settings], dtype=np.float64),
            drawn_levels=np.array([s.drawn_levels for s in settings], dtype=bool),
            earlier=np.array([s.earlier for s in settings], dtype=bool),
        )

    def rows(self, chosen: slice | NDArray[np.intp]) -> "EvidenceRules":
        return EvidenceRules(
            self.memory[chosen],
            self.dispersion[chosen],
            self.day_adjustment[chosen],
            self.alpha_prior[chosen],
            self.beta_prior[chosen],
            self.drawn_levels[chosen],
            self.earlier[chosen],
        )


@dataclass(frozen=True)
class Evidence:
    """Arrays of one experiment; with N more in front where they belong to a batch.

    ``regime_starts`` and ``weights`` (T,): how likely the present rates began on each day, how much each day counts.
    ``phi``: the dispersion. ``effective_trials`` and ``successes`` (K,) of the weighted days, ``evidence_kept`` (K,) in
    [0, 1], ``alpha`` and ``beta`` (K,): for the average weights. ``group_alpha`` and ``group_beta`` (G, K): those that
    decide. ``change_start``: the day of a change in the last weeks, -1 if none; ``change_probability`` of one.

    Where the goal is a value, ``unit`` is what a rate of 1 would be worth, ``spread`` (K,) is phi_i of evidence.values
    and ``effective_orders`` (K,) is d_i S_i / phi_i. For counts they are 1, 1 and infinite.
    """

    regime_starts: Floats
    weights: Floats
    phi: Floats
    effective_trials: Floats
    successes: Floats
    evidence_kept: Floats
    alpha: Floats
    beta: Floats
    group_alpha: Floats
    group_beta: Floats
    change_start: NDArray[np.intp]
    change_probability: Floats
    unit: Floats
    spread: Floats
    effective_orders: Floats

    def of_experiment(self, n: int) -> "Evidence":
        return self.rows(n)

    def rows(self, chosen: int | Bools) -> "Evidence":
        return Evidence(*(getattr(self, name)[chosen] for name in _NAMES))


def evidence_of(
    trials: Floats, successes: Floats, settings: EvidenceSettings, squares: Floats | None = None
) -> Evidence:
    """The evidence of one experiment; ``squares`` of the values where the goal is a value."""
    several = None if squares is None else squares[None]
    return evidence_of_many(
        trials[None], successes[None], EvidenceRules.of([settings]), several
    ).of_experiment(0)


def evidence_of_many(
    trials: Floats, successes: Floats, rules: EvidenceRules, squares: Floats | None = None
) -> Evidence:
    """The evidence of N experiments; the same numbers as one by one. ``squares`` are NaN for those of counts."""
    size = max(1, _CHUNK_COUNTS // max(trials[0].size if len(trials) else 1, 1))
    chunks = [slice(start, start + size) for start in range(0, max(len(trials), 1), size)]
    parts = [
        _evidence_of_chunk(
            trials[rows], successes[rows], rules.rows(rows), None if squares is None else squares[rows]
        )
        for rows in chunks
    ]
    if len(parts) == 1:
        return parts[0]
    return Evidence(*(np.concatenate([getattr(p, name) for p in parts]) for name in _NAMES))


_NAMES = [field.name for field in fields(Evidence)]


class Counted(NamedTuple):
    """The counts of N experiments as the model has them (values as effective orders), with their dispersion."""

    trials: Floats
    successes: Floats
    units: Units
    phi: Floats
    rules: EvidenceRules

    @classmethod
    def of(cls, trials: Floats, values: Floats, rules: EvidenceRules, squares: Floats | None) -> "Counted":
        units = units_of(trials, values, squares)
        n, o = units.counts(trials, values)
        return cls(n, o, units, _dispersion(n, o, rules.dispersion), rules)

    def known(self, information: "Information") -> "Known":
        """The posteriors of each of W weightings of the days, from what they have of the variants."""
        kept = information.kept / self.phi[:, None, None]
        own = kept * self.units.own[:, None] if self.units.some else kept
        beta_prior = np.where(self.units.are_values, np.nan, self.rules.beta_prior)
        betas = _posterior(information, own, self.rules.alpha_prior[:, None, None], beta_prior[:, None, None])
        return Known(information.effective_trials, information.successes, kept, own, *betas)


class Known(NamedTuple):
    """(N, W, K) for each of W weightings of the days; ``own``: the evidence kept, by each variant's own spread."""

    effective_trials: Floats
    successes: Floats
    kept: Floats
    own: Floats
    alpha: Floats
    beta: Floats


def _evidence_of_chunk(
    trials: Floats, values: Floats, rules: EvidenceRules, squares: Floats | None
) -> Evidence:
    counted = Counted.of(trials, values, rules, squares)
    units, starts = counted.units, _regime_starts(counted)
    weights, change = day_weights(starts), change_found(starts, counted.trials.sum(axis=2) > 0)
    every = np.concatenate([group_weights(starts), weights[:, None]], axis=1)
    known = counted.known(information_of(counted.trials, counted.successes, every, rules))
    return Evidence(
        regime_starts=starts,
        weights=weights,
        phi=counted.phi,
        effective_trials=units.trials(known.effective_trials[:, GROUPS]),
        successes=units.values(known.successes[:, GROUPS]),
        evidence_kept=known.kept[:, GROUPS],
        alpha=known.alpha[:, GROUPS],
        beta=known.beta[:, GROUPS],
        group_alpha=known.alpha[:, :GROUPS],
        group_beta=known.beta[:, :GROUPS],
        change_start=change.start,
        change_probability=change.probability,
        unit=units.unit,
        spread=units.spread,
        effective_orders=units.orders(known.own[:, GROUPS] * known.successes[:, GROUPS]),
    )


def _dispersion(trials: Floats, successes: Floats, wanted: Bools) -> Floats:
    phi, rows = np.ones(len(trials)), wanted.nonzero()[0]
    if rows.size:
        phi[rows] = dispersion(trials[rows], successes[rows])
    return phi


def _regime_starts(counted: Counted) -> Floats:
    """Without memory the present regime began with the window."""
    rules, starts = counted.rules, np.zeros(counted.trials.shape[:2])
    starts[:, :1] = 1
    for earlier in (False, True):
        rows = (rules.memory & (rules.earlier == earlier)).nonzero()[0]
        if rows.size:
            scale = counted.phi[rows, None, None]
            starts[rows] = regime_starts(
                counted.trials[rows] / scale, counted.successes[rows] / scale, earlier
            )
    return starts


def _in_parts(rows: NDArray[np.intp], counts: int) -> list[NDArray[np.intp]]:
    """Rows of so many counts each, as many at a time as a core's own cache holds."""
    size = max(1, _CHUNK_COUNTS // max(counts, 1))
    return [rows[start : start + size] for start in range(0, len(rows), size)]


class Information(NamedTuple):
    """(N, W, K) for each of W weightings of the days."""

    effective_trials: Floats
    successes: Floats
    kept: Floats

    def among(self, seen: Bools) -> "Information":
        """Widen what is of those ``seen`` (K,) to all variants: the others have no trials, and lose no evidence."""
        shape = (*self.kept.shape[:2], len(seen))
        answer = Information(np.zeros(shape), np.zeros(shape), np.ones(shape))
        for of_all, of_seen in zip(answer, self, strict=True):
            of_all[..., seen] = of_seen
        return answer


def information_of(trials: Floats, successes: Floats, weights: Floats, rules: EvidenceRules) -> Information:
    """``weights`` (N, W, T). Weightings that follow on an equal one are not computed again."""
    new = np.ones(weights.shape[:2], dtype=bool)
    new[:, 1:] = (weights[:, 1:] != weights[:, :-1]).any(axis=-1)
    place = new.ravel().nonzero()[0]
    experiment = place // weights.shape[1]
    weight = weights.reshape(new.size, weights.shape[-1])[place, :, None]
    n, o = trials[experiment] * weight, successes[experiment] * weight
    effective, kept = n.sum(axis=1), np.ones((len(place), trials.shape[2]))
    adjusted, drawn = rules.day_adjustment[experiment], rules.drawn_levels[experiment]
    for chosen, day_effects in ((adjusted & drawn, level_evidence), (adjusted & ~drawn, adjusted_evidence)):
        for rows in _in_parts(chosen.nonzero()[0], trials.shape[1] * trials.shape[2]):
            effective[rows], kept[rows] = day_effects(n[rows], o[rows])
    back = (np.add.accumulate(new.ravel(), dtype=np.intp) - 1).reshape(new.shape)
    return Information(effective[back], o.sum(axis=1)[back], kept[back])


def _posterior(
    information: Information, kept: Floats, alpha_prior: Floats, beta_prior: Floats
) -> tuple[Floats, Floats]:
    """Beta(alpha_prior + d O*, beta_prior + d (n* - O*)), the priors (N, 1, 1), NaN for one that is centred."""
    trials = information.effective_trials.sum(axis=-1, keepdims=True)
    mu = own_rate(trials, information.successes.sum(axis=-1, keepdims=True))
    prior = np.where(np.isnan(beta_prior), alpha_prior * (1 / mu - 1), beta_prior)
    failures = information.effective_trials - information.successes
    # where all trials succeeded the difference is the rounding of sums, and beside a small prior it would decide
    failures[failures <= _NO_FAILURE * information.effective_trials] = 0.0
    alpha, beta = alpha_prior + kept * information.successes, prior + kept * failures
    return np.maximum(alpha, SMALLEST_PARAMETER), np.maximum(beta, SMALLEST_PARAMETER)


def own_rate(trials: Floats, successes: Floats) -> Floats:
    """mu: the experiment's pooled rate; one success in so many trials and two more if there was none.

    Likewise one failure where every trial succeeded: at a rate of 1 the prior would not be one.
    """
    least = 1 / (trials + 2)
    inside = (successes > 0) & (trials - successes > _NO_FAILURE * trials)
    ends = np.where(successes > 0, 1 - least, least)
    return np.asarray(np.where(inside, successes / np.where(trials > 0, trials, 1.0), ends))
