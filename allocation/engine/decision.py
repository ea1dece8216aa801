"""The steps from counts to shares, for one experiment or a hundred thousand.

Warm-up -> dispersion, memory, day levels -> posteriors -> probability_best -> target -> limits -> rounding. Every step
is array work over experiments. Decisions of the first engine are computed again by its rules: no memory, no dispersion,
day effects by maximum likelihood, and a lead that may have too little data.
"""

import numpy as np
from numpy.typing import NDArray

from allocation.engine import limits
from allocation.engine.batch import BatchDecision, Counts, Posterior, SettingsArrays
from allocation.engine.evidence.learned import evidence_of_many
from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.probability_best import Bools, leader
from allocation.engine.target import target_shares, uniform


def decide(counts: Counts, posterior: Posterior | None = None) -> BatchDecision:
    """Compute steps 2 to 8 for a batch whose windows are cut already; ``posterior`` stands in for steps 3 and 4."""
    chosen, active = counts.settings, counts.active
    posterior = posterior or posterior_of(counts)
    contest = posterior.contest(active, chosen.before)
    warm_up, reporting = warming_up(counts)
    low_evidence = low_evidence_of(posterior, active, chosen)
    wanted = target_shares(
        contest.probability_best, active, low_evidence, chosen.min_explore_rate, chosen.exploitation
    )
    target = np.where(warm_up[:, None], uniform(active), wanted)
    previous = limits.previous_ticks(counts.previous, active, target + counts.control)
    floor = limits.floors(active, counts.control, chosen.control_floor, chosen.min_explore_rate)
    cap = chosen.max_daily_shift[:, 0] * limits.TICKS
    around = limits.bounds(previous, floor, cap, active, low_evidence)
    total = np.full(len(active), float(limits.TICKS))
    shares = limits.project(target, around.low, around.high, total)
    return BatchDecision(
        ticks=limits.round_shares(shares, around.high).astype(np.int64),
        previous_ticks=previous.astype(np.int64),
        target=target,
        bound=_bound_names(
            shares, target, around, previous, low_evidence & active & ~warm_up[:, None], counts.control
        ),
        posterior=posterior,
        contest=contest,
        low_evidence=low_evidence,
        lead=lead_of(
            contest.probability_best,
            posterior.mean,
            active,
            low_evidence & ~chosen.first_engine,
            (posterior.trials > 0) | chosen.first_rules,
        ),
        warm_up=warm_up,
        reporting=reporting,
        cap=around.cap.astype(np.int64),
    )


def posterior_of(counts: Counts) -> Posterior:
    """Beta(alpha_prior + d O*, beta_prior + d (n* - O*)) from the window's counts (steps 3 to 6)."""
    if counts.known is not None:
        return counts.known
    rules = counts.settings.evidence_rules
    evidence = evidence_of_many(counts.trials, counts.successes, rules, counts.squares)
    trials, successes = counts.trials.sum(axis=1), counts.successes.sum(axis=1)
    return Posterior(
        trials,
        successes,
        evidence.effective_trials,
        evidence.evidence_kept,
        evidence.alpha,
        evidence.beta,
        evidence,
    )


def lead_of(
    best: Floats, mean: Floats, active: Bools, low_evidence: Bools, has_data: Bools
) -> NDArray[np.intp]:
    """The likeliest best (N,) of those with evidence enough; where none has, of those with data, else of all active."""
    judged, reporting = active & ~low_evidence, active & has_data
    known = np.where(reporting.any(axis=-1, keepdims=True), reporting, active)
    return leader(best, mean, np.where(judged.any(axis=-1, keepdims=True), judged, known))


def warming_up(counts: Counts) -> tuple[Bools, NDArray[np.intp]]:
    """Find experiments with too little data to optimize (step 2), and count the active variants that report; (N,) each.

    A single active variant waits for no second one.
    """
    reporting = ((counts.trials.sum(axis=1) > 0) & counts.active).sum(axis=-1)
    short = counts.impressions_so_far < counts.settings.min_impressions[:, 0]
    return short | (reporting < np.minimum(counts.active.sum(axis=-1), 2)), reporting


def low_evidence_of(posterior: Posterior, active: Bools, settings: SettingsArrays) -> Bools:
    """A wide prior is no reason to take over: such variants get 1/K at most. Zero is always too little.

    A single variant takes over from none. Retired ones have their numbers shown, and since rules 2 are judged like the
    others.
    Values of fewer than 20 effective orders are too little as well.
    """
    evidence = posterior.evidence_kept * posterior.effective_trials
    count = active.sum(axis=-1, keepdims=True)
    has_rivals = ~active | (count > 1)
    short = (
        (evidence < needed_trials(settings.min_impressions, count)) | (evidence <= 0) | posterior.few_orders
    )
    return np.asarray(has_rivals & short & (active | ~settings.first_rules))


def needed_trials(min_impressions: Floats | float, active: NDArray[np.intp] | int) -> Floats:
    """How many effective trials a variant needs to be judged, one of so many ``active`` ones."""
    return np.asarray(min_impressions / np.maximum(active, 1))


def _bound_names(
    shares: Floats,
    target: Floats,
    around: limits.Bounds,
    previous: Floats,
    low_evidence: Bools,
    control: Bools,
) -> NDArray[np.str_]:
    """Which limit keeps each share from its target: the one at the bound where the share stopped."""
    wanted = target * limits.TICKS
    lifted = (shares <= around.low + 0.5) & (wanted < around.low - 0.5)
    held = (shares >= around.high - 0.5) & (wanted > around.high + 0.5)
    cap_high = np.minimum(previous + around.cap[:, None], limits.TICKS)
    even = uniform(target > 0) * limits.TICKS
    names = {
        "cap_down": lifted & (around.low > around.floor),
        "control_floor": lifted & control,
        "exploration_floor": lifted,
        "cap_up": held & (around.high >= cap_high),
        "low_evidence": held | (low_evidence & (wanted >= even - 0.5)),
    }
    # the first that holds is the last one written; np.select takes five times as long
    place = np.zeros(shares.shape, dtype=np.intp)
    for number, held_here in reversed(list(enumerate(names.values(), start=1))):
        place[held_here] = number
    return np.array(["none", *names])[place]
