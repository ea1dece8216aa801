"""The whole way from counts to shares, for one experiment or a hundred thousand.

Window -> warm-up -> dispersion, memory, day levels -> posteriors -> probability_best -> target -> limits -> rounding.
Every step is array work over experiments; ``allocate`` is a batch of one. Nothing here knows of names, clocks or
databases. Decisions of the first engine are computed again by its rules: no memory, no dispersion, day effects by
maximum likelihood, and a lead that may have too little data.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from allocation.engine import limits
from allocation.engine.evidence.learned import Evidence, EvidenceRules, evidence_of_many
from allocation.engine.evidence.memory import TOLD_WITHIN
from allocation.engine.evidence.values import ENOUGH_ORDERS, largest_parts
from allocation.engine.evidence.window import History, Window, select_window
from allocation.engine.posterior.beta import Floats, quantiles
from allocation.engine.posterior.first_value_remaining import first_value_remaining
from allocation.engine.posterior.groups import GroupContest, contest_of_groups
from allocation.engine.posterior.probability_best import Bools, leader
from allocation.engine.settings import Settings
from allocation.engine.target import target_shares, uniform

ENGINE_VERSIONS = FIRST_ENGINE, ENGINE_VERSION = ("1", "2")
# Rules that have changed within the second engine. A decision records its own, and is computed again by them. Since 2
# a retired variant may have too little data, no variant without data leads, and a change is dated by the calendar.
FIRST_RULES, RULES = (1, 2)

# Experiments worked on at once: enough to make numpy's overhead small, few enough for their days to fit in
# memory.
_BATCH = 512
_BATCH_COUNTS = 1 << 19
_INTERVAL = (0.025, 0.975)


@dataclass(frozen=True)
class Request:
    """The request of one experiment: which share does each of its K variants get on ``target_day``?

    ``previous``: (K,) shares in force the day before, NaN throughout if there were none. ``active``: (K,)
    bool, False for retired variants. ``control``: index of the control, or None. ``engine_version``: whose rules;
    ``rules``: which of the second engine's.
    """

    history: History
    target_day: int
    active: Bools
    control: int | None
    previous: Floats
    settings: Settings
    engine_version: str = ENGINE_VERSION
    rules: int = RULES

    def window(self) -> Window:
        chosen = self.settings
        return select_window(self.history, self.target_day, chosen.longest_window, chosen.maturity_days)


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

    ``first_engine``: decided by the rules of the first engine; ``first_rules``: by the first ones of the second, too.
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

    @classmethod
    def of(
        cls,
        settings: Sequence[Settings],
        versions: Sequence[str] | None = None,
        rules: Sequence[int] | None = None,
    ) -> "SettingsArrays":
        """``versions``: of the engines whose rules hold, the present one by default; ``rules``: likewise."""
        first = [version == FIRST_ENGINE for version in versions or [ENGINE_VERSION] * len(settings)]
        blank = [np.nan if s.beta_prior is None else s.beta_prior for s in settings]
        first_rules = [number == FIRST_RULES for number in rules or [RULES] * len(settings)]
        given = {"beta_prior": blank, "first_engine": first, "first_rules": first_rules}
        columns = (given.get(name) or [getattr(s, name) for s in settings] for name in cls._fields)
        return cls(*(np.array(column)[:, None] for column in columns))

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
        )


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

    def contest(self, active: Bools) -> GroupContest:
        if self.learned is None:
            return contest_of_groups(self.alpha[:, None], self.beta[:, None], active)
        return contest_of_groups(self.learned.group_alpha, self.learned.group_beta, active)


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


@dataclass(frozen=True)
class Decision:
    """The decision for one experiment, (K,) arrays; for retired variants only the counts have a meaning.

    ``missing_trials``: effective trials that a variant with too little data lacks to be judged, 0 for the others.
    ``dispersion``: phi. ``day_weights`` (D',): how much each of the window's days counts. ``change_day``: day number
    since when the rates are others, if that was lately.

    Where the goal is a value, ``successes`` are sums of values and ``mean``, its interval and ``expected_loss`` are
    values per trial; the Beta is that of the value per trial in units of ``unit``. ``spread``: how much a sum of values
    varies beside a count. ``effective_orders``: the values' weight as evidence. ``largest_part``: the most that one
    order can make of a variant's value. For counts these are 1, 1, infinite and 0.
    """

    shares: Floats
    previous: Floats
    trials: Floats
    successes: Floats
    effective_trials: Floats
    evidence_kept: Floats
    alpha: Floats
    beta: Floats
    mean: Floats
    interval_low: Floats
    interval_high: Floats
    probability_best: Floats
    expected_loss: Floats
    target: Floats
    bound: tuple[str, ...]
    lead: int
    value_remaining: float
    warm_up: bool
    reporting: int
    cap: float
    window: Window
    low_evidence: Bools
    missing_trials: Floats
    dispersion: float
    day_weights: Floats
    change_day: int | None
    active: Bools
    engine_version: str
    rules: int
    unit: float
    spread: Floats
    effective_orders: Floats
    largest_part: Floats


def allocate(
    history: History,
    *,
    target_day: int,
    active: Bools,
    control: int | None,
    previous: Floats,
    settings: Settings,
) -> Decision:
    """The allocation of one experiment; the arguments are those of Request.

    Raises ValueError where no variant is active or the shapes do not fit.
    """
    return allocate_many([Request(history, target_day, active, control, previous, settings)])[0]


def allocate_many(requests: Sequence[Request]) -> list[Decision]:
    """The allocations of many experiments, in order; the same numbers as one by one."""
    return [answer for batch in _batches(requests) for answer in _allocate_batch(batch)]


def _batches(requests: Sequence[Request]) -> Iterator[Sequence[Request]]:
    """Runs of requests whose padded counts stay small; one that is too large by itself goes alone."""
    start = days = variants = 0
    for n, request in enumerate(requests):
        own = min(len(request.history.days), request.settings.longest_window), len(request.active)
        days, variants, size = max(days, own[0]), max(variants, own[1]), n - start + 1
        if size > 1 and (size > _BATCH or size * days * variants > _BATCH_COUNTS):
            yield requests[start:n]
            start, (days, variants) = n, own
    if len(requests) > start:
        yield requests[start:]


def decide(counts: Counts, posterior: Posterior | None = None) -> BatchDecision:
    """Compute steps 2 to 8 for a batch whose windows are cut already; ``posterior`` stands in for steps 3 and 4."""
    chosen, active = counts.settings, counts.active
    posterior = posterior or posterior_of(counts)
    contest = posterior.contest(active)
    warm_up, reporting = warming_up(counts)
    low_evidence = low_evidence_of(posterior, active, chosen.min_impressions) & (active | ~chosen.first_rules)
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
    told = evidence_of_many(counts.trials, counts.successes, rules, counts.squares)
    trials, successes = counts.trials.sum(axis=1), counts.successes.sum(axis=1)
    return Posterior(
        trials, successes, told.effective_trials, told.evidence_kept, told.alpha, told.beta, told
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


def low_evidence_of(posterior: Posterior, active: Bools, min_impressions: Floats) -> Bools:
    """A wide prior is no reason to take over: such variants get 1/K at most. Zero is always too little.

    A single variant takes over from none. Retired ones have their numbers shown, and are judged like the others.
    Values of fewer than 20 effective orders are too little as well.
    """
    evidence = posterior.evidence_kept * posterior.effective_trials
    count = active.sum(axis=-1, keepdims=True)
    has_rivals = ~active | (count > 1)
    short = (evidence < needed_trials(min_impressions, count)) | (evidence <= 0) | posterior.few_orders
    return np.asarray(has_rivals & short)


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
    return np.select(list(names.values()), list(names), default="none")


def _allocate_batch(requests: Sequence[Request]) -> list[Decision]:
    windows = [request.window() for request in requests]
    counts = _counts(requests, windows)
    decision = decide(counts)
    alpha, beta = decision.posterior.alpha, decision.posterior.beta
    interval = quantiles(alpha, beta, _INTERVAL)
    remaining = _value_remaining(counts, decision)
    return [
        _unpack(n, request, decision, interval, float(remaining[n]), windows[n])
        for n, request in enumerate(requests)
    ]


def _value_remaining(counts: Counts, decision: BatchDecision) -> Floats:
    remaining = decision.contest.value_remaining(decision.lead)
    rows = np.flatnonzero(counts.settings.first_engine[:, 0])
    if rows.size:
        alpha, beta, lead = decision.posterior.alpha[rows], decision.posterior.beta[rows], decision.lead[rows]
        best = np.take_along_axis(decision.contest.probability_best[rows], lead[:, None], axis=1)
        remaining[rows] = first_value_remaining(alpha, beta, counts.active[rows], lead, best)
    return remaining


def _counts(requests: Sequence[Request], windows: Sequence[Window]) -> Counts:
    """Pad ragged experiments to one array: absent days and variants are zeros."""
    if not all(request.active.any() for request in requests):
        raise ValueError("an experiment needs at least one active variant")
    size = len(requests)
    days, variants = max(len(w.trials) for w in windows), max(len(r.active) for r in requests)
    trials, successes = np.zeros((size, max(days, 1), variants)), np.zeros((size, max(days, 1), variants))
    active, control = np.zeros((size, variants), dtype=bool), np.zeros((size, variants), dtype=bool)
    previous = np.zeros((size, variants))
    for n, (request, window) in enumerate(zip(requests, windows, strict=True)):
        present = len(request.active)
        trials[n, : len(window.trials), :present] = window.trials
        successes[n, : len(window.trials), :present] = window.successes
        active[n, :present] = request.active
        previous[n, :present] = request.previous
        if request.control is not None:
            control[n, request.control] = True
    so_far = np.array([w.impressions_so_far for w in windows])
    settings = SettingsArrays.of(
        [r.settings for r in requests], [r.engine_version for r in requests], [r.rules for r in requests]
    )
    squares = _squares(windows, trials.shape)
    return Counts(trials, successes, so_far, active, control, previous, settings, squares=squares)


def _squares(windows: Sequence[Window], shape: tuple[int, ...]) -> Floats | None:
    if all(window.squares is None for window in windows):
        return None
    squares = np.full(shape, np.nan)
    for n, window in enumerate(windows):
        if window.squares is not None:
            squares[n] = 0.0
            squares[n, : len(window.squares), : window.squares.shape[1]] = window.squares
    return squares


def _unpack(
    n: int, request: Request, decision: BatchDecision, interval: Floats, remaining: float, window: Window
) -> Decision:
    k, posterior = len(request.active), decision.posterior
    learned = _learned(posterior, n)
    unit = float(learned.unit)
    return Decision(
        shares=decision.ticks[n, :k] / limits.TICKS,
        previous=decision.previous_ticks[n, :k] / limits.TICKS,
        mean=posterior.mean[n, :k] * unit,
        interval_low=interval[n, :k, 0] * unit,
        interval_high=interval[n, :k, 1] * unit,
        probability_best=decision.contest.probability_best[n, :k],
        expected_loss=decision.contest.expected_loss[n, :k] * unit,
        target=decision.target[n, :k],
        bound=tuple(str(name) for name in decision.bound[n, :k]),
        lead=int(decision.lead[n]),
        value_remaining=remaining,
        warm_up=bool(decision.warm_up[n]),
        reporting=int(decision.reporting[n]),
        cap=int(decision.cap[n]) / limits.TICKS,
        window=window,
        low_evidence=decision.low_evidence[n, :k],
        missing_trials=_missing_trials(request, posterior, learned, decision.low_evidence[n], n),
        dispersion=float(learned.phi),
        day_weights=learned.weights[: len(window.days)],
        change_day=_change_day(request, window, int(learned.change_start)),
        active=request.active,
        engine_version=request.engine_version,
        rules=request.rules,
        unit=unit,
        spread=learned.spread[:k],
        effective_orders=learned.effective_orders[:k],
        largest_part=np.zeros(k)
        if window.squares is None
        else largest_parts(window.successes, window.squares),
        **{f.name: getattr(posterior, f.name)[n, :k] for f in _POSTERIOR_FIELDS},
    )


def _change_day(request: Request, window: Window, start: int) -> int | None:
    """The day of a change, if it is one of the window's last four weeks: where few days report, many are older."""
    if start < 0 or window.end is None:
        return None
    day = int(window.days[start])
    return day if window.end - day < TOLD_WITHIN or request.rules == FIRST_RULES else None


def _missing_trials(
    request: Request, posterior: Posterior, learned: Evidence, low_evidence: Bools, n: int
) -> Floats:
    """At least 1 for a variant with too little data: one without any is not judged even where nothing is asked for.

    An effective order takes spread / mean trials.
    """
    k = len(request.active)
    needed = needed_trials(request.settings.min_impressions, int(request.active.sum()))
    evidence = (posterior.evidence_kept * posterior.effective_trials)[n, :k]
    orders = np.maximum(ENOUGH_ORDERS - learned.effective_orders[:k], 0.0)
    for_orders = orders * learned.spread[:k] / (posterior.mean[n, :k] * learned.unit)
    missing = np.maximum(np.maximum(needed - evidence, for_orders), 1.0)
    return np.where(low_evidence[:k], missing, 0.0)


def _learned(posterior: Posterior, n: int) -> Evidence:
    if posterior.learned is None:
        raise ValueError("a posterior that was given explains no decision")
    return posterior.learned.of_experiment(n)


_POSTERIOR_FIELDS = [f for f in fields(Decision) if f.name in Posterior._fields]
