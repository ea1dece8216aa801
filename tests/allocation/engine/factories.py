"""Counts to feed the engine with: plain ones written by hand, and random ones of every shape."""

from typing import Any

import numpy as np

from allocation.engine import Decision, History, Request, Settings, allocate
from allocation.engine.posterior.beta import Floats


def make_history(trials: list[list[float]], successes: list[list[float]], first_day: int = 1) -> History:
    """Days one after another, a row each; impressions are the trials."""
    n, o = np.array(trials, dtype=float), np.array(successes, dtype=float)
    return History(np.arange(first_day, first_day + len(n)), n, n, o)


def make_request(history: History, **changes: Any) -> Request:
    """The day after the history's last, all variants active, the first one control, nothing in force
    before.
    """
    k = history.trials.shape[1]
    given: dict[str, Any] = {
        "target_day": int(history.days[-1]) + 1 if len(history.days) else 1,
        "active": np.ones(k, dtype=bool),
        "control": 0,
        "previous": np.full(k, np.nan),
        "settings": Settings(),
    }
    return Request(history, **{**given, **changes})


def allocate_request(request: Request) -> Decision:
    return allocate(
        request.history,
        target_day=request.target_day,
        active=request.active,
        control=request.control,
        previous=request.previous,
        settings=request.settings,
    )


def allocate_counts(trials: list[list[float]], successes: list[list[float]], **changes: Any) -> Decision:
    return allocate_request(make_request(make_history(trials, successes), **changes))


def random_settings(rng: np.random.Generator) -> Settings:
    """Anywhere in the allowed ranges, the ends included."""
    control_floor = float(rng.choice([0.0, 0.1, 0.5, rng.uniform(0, 0.5)]))
    explore = min(float(rng.choice([0.0, 0.05, 0.5, rng.uniform(0, 0.5)])), 0.99 - control_floor)
    return Settings(
        alpha_prior=float(10 ** rng.choice([-9, -3, 0, 0, 2, 6, rng.uniform(-9, 6)])),
        beta_prior=None
        if rng.random() < 0.3
        else float(10 ** rng.choice([-9, -3, 0, 0, 2, 6, rng.uniform(-9, 6)])),
        min_explore_rate=explore,
        control_floor=control_floor,
        max_daily_shift=float(rng.choice([0.0001, 0.2, 1.0, rng.integers(1, 10_001) / 10_000])),
        window_days=None if rng.random() < 0.3 else int(rng.choice([1, 14, 365])),
        maturity_days=int(rng.choice([0, 0, 3, 90])),
        min_impressions=int(rng.choice([0, 1000, 10**9])),
        day_adjustment=bool(rng.integers(2)),
        exploitation=float(rng.choice([0.01, 1.0, 1.0, 4.0, 20.0])),
        memory=bool(rng.random() < 0.7),
        dispersion=bool(rng.random() < 0.7),
    )


def random_request(rng: np.random.Generator, k: int) -> Request:
    """Any K variants: counts up to 10^12, silent days and variants, new and retired ones, odd shares
    before.
    """
    days = int(rng.integers(0, 20))
    size = 10 ** rng.uniform(0, rng.choice([1, 3, 5, 12]), (days, k))
    trials = np.floor(size * (rng.random((days, k)) < rng.choice([0.2, 0.9, 1.0])))
    rate = rng.choice([0.0, 0.05, 1.0, rng.random()]) * rng.random((1, k)) ** rng.choice([0, 1])
    successes = np.minimum(np.floor(trials * rate + rng.random((days, k))), trials)
    history = History(np.arange(1, days + 1), trials, trials, successes, float(rng.choice([0, 5000])))
    active = rng.random(k) < rng.choice([0.6, 1.0])
    active[rng.integers(k)] = True
    control = int(rng.choice(np.flatnonzero(active))) if rng.random() < 0.9 else None
    return Request(history, days + 1, active, control, random_shares(rng, k), random_settings(rng))


def random_shares(rng: np.random.Generator, k: int) -> Floats:
    """Shares in force before: none at all, one with everything, some missing, or anything."""
    if rng.random() < 0.2:
        return np.full(k, np.nan)
    weights = rng.dirichlet(np.full(k, rng.choice([0.01, 1.0, 100.0]))) * (
        rng.random(k) < rng.choice([0.5, 1])
    )
    total = weights.sum()
    return np.round(weights / total, 4) if total > 0 else np.zeros(k)


def random_posteriors(seed: int) -> tuple[Floats, Floats]:
    """2 to 50 variants, priors 0.5 to 1000, 0 to 10^8 trials, equal ones and ones a million times larger."""
    rng = np.random.default_rng(seed)
    k = int(rng.choice([2, 3, 4, 10, 50], p=[0.3, 0.3, 0.2, 0.15, 0.05]))
    trials = np.floor(10 ** rng.uniform(0, rng.choice([2, 4, 8]), k)) * rng.integers(0, 5, k).clip(0, 1)
    if rng.random() < 0.3:
        trials = np.where(np.arange(k) == 0, 1e8, 100.0)
    rates = rng.beta(2, 30, k) if rng.random() < 0.7 else np.full(k, rng.random())
    successes = np.floor(trials * rates)
    prior = 10 ** rng.uniform(np.log10(0.5), 3, 2)
    return prior[0] + successes, prior[1] + trials - successes
