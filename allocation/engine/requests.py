"""The allocation of an experiment, from its history to its shares; ``allocate`` is a batch of one.

Nothing here knows of names, clocks or databases.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeVar

import numpy as np

from allocation.engine import limits
from allocation.engine.batch import (
    ENGINE_VERSION,
    FIRST_ENGINE,
    FIRST_RULES,
    MEAN_INSIDE,
    ORDERS_COUNTED,
    RULES,
    BatchDecision,
    Counts,
    Posterior,
    SettingsArrays,
)
from allocation.engine.decision import decide, low_evidence_of, needed_trials, posterior_of
from allocation.engine.evidence.learned import Evidence
from allocation.engine.evidence.memory import REPORTED_WITHIN
from allocation.engine.evidence.values import ENOUGH_ORDERS, largest_parts
from allocation.engine.evidence.window import History, Window, select_window
from allocation.engine.posterior.beta import Floats
from allocation.engine.posterior.earlier_quantiles import earlier_quantiles
from allocation.engine.posterior.first_value_remaining import first_value_remaining
from allocation.engine.posterior.probability_best import Bools
from allocation.engine.posterior.quantiles import quantiles
from allocation.engine.settings import Settings

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
        return self._window

    @cached_property
    def _window(self) -> Window:
        chosen = self.settings
        return select_window(self.history, self.target_day, chosen.longest_window, chosen.maturity_days)


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


class Judged(NamedTuple):
    """The rates of one experiment's variants without a decision: the same numbers, by the names of Decision."""

    trials: Floats
    successes: Floats
    alpha: Floats
    beta: Floats
    mean: Floats
    interval_low: Floats
    interval_high: Floats
    low_evidence: Bools
    dispersion: float
    window: Window


Answer = TypeVar("Answer", Decision, Judged)


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
    """The allocations of many experiments, in order; to the last bit the same numbers as one by one."""
    return _in_batches(requests, _allocate_batch)


def judge_many(requests: Sequence[Request]) -> list[Judged]:
    """The rates of many experiments, in order, without a decision: the chance of each to be the best is left out."""
    return _in_batches(requests, _judge_batch)


def _in_batches(
    requests: Sequence[Request], work: Callable[[Sequence[Request], int], list[Answer]]
) -> list[Answer]:
    """Let the work answer each request, in batches; answers in the order of requests."""
    answers: dict[int, Answer] = {}
    for places, days in _batches(requests):
        batch = work([requests[place] for place in places], days)
        answers.update(zip(places, batch, strict=True))
    return [answers[place] for place in range(len(requests))]


def _batches(requests: Sequence[Request]) -> Iterator[tuple[Sequence[int], int]]:
    """Places of requests with as many variants, and how many days their arrays have.

    That is a matter of each request by itself, as sums of more zeros may round otherwise.
    """
    alike: dict[tuple[int, int], list[int]] = {}
    for place, request in enumerate(requests):
        days = min(len(request.history.days), request.settings.longest_window)
        alike.setdefault((len(request.active), _padded(days)), []).append(place)
    for (variants, days), places in alike.items():
        size = max(1, min(_BATCH, _BATCH_COUNTS // (days * variants)))
        for start in range(0, len(places), size):
            yield places[start : start + size], days


def _padded(days: int) -> int:
    """So many days or an eighth more, that experiments of about as many may be worked on together."""
    step = max(8, (1 << max(days, 1).bit_length()) // 16)
    return max(-(-days // step), 1) * step


def _allocate_batch(requests: Sequence[Request], days: int) -> list[Decision]:
    windows = [request.window() for request in requests]
    counts = _counts(requests, windows, days)
    decision = decide(counts)
    interval = _around(
        decision.posterior.mean,
        _intervals(counts, decision.posterior, decision.contest.shown_edges),
        requests,
    )
    remaining = _value_remaining(counts, decision)
    return [
        _unpack(n, request, decision, interval, float(remaining[n]), windows[n])
        for n, request in enumerate(requests)
    ]


def _judge_batch(requests: Sequence[Request], days: int) -> list[Judged]:
    windows = [request.window() for request in requests]
    counts = _counts(requests, windows, days)
    posterior = posterior_of(counts)
    low_evidence = low_evidence_of(posterior, counts.active, counts.settings)
    interval = _around(posterior.mean, _intervals(counts, posterior), requests)
    return [_judged(n, posterior, interval, low_evidence, window) for n, window in enumerate(windows)]


def _judged(n: int, posterior: Posterior, interval: Floats, low_evidence: Bools, window: Window) -> Judged:
    learned = _learned(posterior)
    unit = learned.unit[n]
    return Judged(
        trials=posterior.trials[n],
        successes=posterior.successes[n],
        alpha=posterior.alpha[n],
        beta=posterior.beta[n],
        mean=posterior.mean[n] * unit,
        interval_low=interval[n, :, 0] * unit,
        interval_high=interval[n, :, 1] * unit,
        low_evidence=low_evidence[n],
        dispersion=float(learned.phi[n]),
        window=window,
    )


def _intervals(counts: Counts, posterior: Posterior, edges: Floats | None = None) -> Floats:
    """(N, K, 2): between which rates the middle 95% of each posterior lie; ``edges``: its panels, if known."""
    alpha, beta = posterior.alpha, posterior.beta
    found, before = quantiles(alpha, beta, _INTERVAL, edges), counts.settings.unshared[:, 0]
    if np.count_nonzero(before):
        found[before] = earlier_quantiles(alpha[before], beta[before], _INTERVAL)
    return found


def _around(mean: Floats, interval: Floats, requests: Sequence[Request]) -> Floats:
    """Widen intervals to the mean: where nearly all mass lies at an end, it lies outside the middle 95%.

    By the rules before they were left as they were.
    """
    low, high = np.minimum(interval[..., 0], mean), np.maximum(interval[..., 1], mean)
    widened = np.array([r.rules >= MEAN_INSIDE and r.engine_version != FIRST_ENGINE for r in requests])
    return np.where(widened[:, None, None], np.stack([low, high], axis=-1), interval)


def _value_remaining(counts: Counts, decision: BatchDecision) -> Floats:
    remaining = decision.contest.value_remaining(decision.lead)
    rows = counts.settings.first_engine[:, 0].nonzero()[0]
    if rows.size:
        alpha, beta, lead = decision.posterior.alpha[rows], decision.posterior.beta[rows], decision.lead[rows]
        best = np.take_along_axis(decision.contest.probability_best[rows], lead[:, None], axis=1)
        remaining[rows] = first_value_remaining(alpha, beta, counts.active[rows], lead, best)
    return remaining


def _counts(requests: Sequence[Request], windows: Sequence[Window], days: int) -> Counts:
    """Pad ragged experiments of as many variants to one array of ``days``: absent days are zeros."""
    if not all(request.active.any() for request in requests):
        raise ValueError("an experiment needs at least one active variant")
    size, variants = len(requests), len(requests[0].active)
    trials, successes = np.zeros((size, days, variants)), np.zeros((size, days, variants))
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
    learned = _learned(posterior)
    unit = float(learned.unit[n])
    return Decision(
        shares=decision.ticks[n, :k] / limits.TICKS,
        previous=decision.previous_ticks[n, :k] / limits.TICKS,
        probability_best=decision.contest.probability_best[n, :k],
        expected_loss=decision.contest.expected_loss[n, :k] * unit,
        target=decision.target[n, :k],
        bound=tuple(str(name) for name in decision.bound[n, :k]),
        lead=int(decision.lead[n]),
        value_remaining=remaining,
        warm_up=bool(decision.warm_up[n]),
        reporting=int(decision.reporting[n]),
        cap=int(decision.cap[n]) / limits.TICKS,
        missing_trials=_missing_trials(request, posterior, learned, decision.low_evidence[n], n),
        day_weights=learned.weights[n, : len(window.days)],
        change_day=_change_day(request, window, int(learned.change_start[n])),
        active=request.active,
        engine_version=request.engine_version,
        rules=request.rules,
        unit=unit,
        spread=learned.spread[n, :k],
        effective_orders=learned.effective_orders[n, :k],
        largest_part=_largest_part(request, window),
        effective_trials=posterior.effective_trials[n, :k],
        evidence_kept=posterior.evidence_kept[n, :k],
        **_judged(n, posterior, interval, decision.low_evidence, window)._asdict(),
    )


def _largest_part(request: Request, window: Window) -> Floats:
    """The most that one order can make of each variant's value, (K,); the rules before did not count orders."""
    if window.squares is None:
        return np.zeros(len(request.active))
    orders = window.orders if request.rules >= ORDERS_COUNTED else None
    return largest_parts(window.successes, window.squares, orders)


def _change_day(request: Request, window: Window, start: int) -> int | None:
    """The day of a change, if it is one of the window's last four weeks: where few days report, many are older."""
    if start < 0 or window.end is None:
        return None
    day = int(window.days[start])
    return day if window.end - day < REPORTED_WITHIN or request.rules == FIRST_RULES else None


def _missing_trials(
    request: Request, posterior: Posterior, learned: Evidence, low_evidence: Bools, n: int
) -> Floats:
    """At least 1 for a variant with too little data: one without any is not judged even where nothing is asked for.

    An effective order takes spread / mean trials.
    """
    k = len(request.active)
    if not np.count_nonzero(low_evidence[:k]):
        return np.zeros(k)
    needed = needed_trials(request.settings.min_impressions, int(request.active.sum()))
    evidence = (posterior.evidence_kept * posterior.effective_trials)[n, :k]
    orders = np.maximum(ENOUGH_ORDERS - learned.effective_orders[n, :k], 0.0)
    for_orders = orders * learned.spread[n, :k] / (posterior.mean[n, :k] * learned.unit[n])
    missing = np.maximum(np.maximum(needed - evidence, for_orders), 1.0)
    return np.where(low_evidence[:k], missing, 0.0)


def _learned(posterior: Posterior) -> Evidence:
    if posterior.learned is None:
        raise ValueError("a posterior that was given explains no decision")
    return posterior.learned
