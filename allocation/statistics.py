"""What the data say about an experiment: rates, uplifts, state, mismatch, rewards. Reads only, records nothing."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from allocation import engine
from allocation.engine.comparison import compare_to_control
from allocation.engine.progress import first_passed, rewards_by_day
from allocation.engine.sample_ratio import SampleRatio, sample_ratio
from allocation.engine.state import sentence, state_of
from allocation.models import AllocationShare
from allocation.questions import Question
from allocation.services import load_question
from experiments.models import DailyMetric, Experiment, Reward

# Shares in force, by target date: variant id to share.
SharesByDate = Mapping[dt.date, Mapping[int, float]]


def experiment_statistics(experiment_id: int, date: dt.date) -> dict[str, Any]:
    """As of ``date``. Raises NotFoundError, StatusConflictError (a draft), NoActiveVariantError."""
    question = load_question(experiment_id, date)
    decision = engine.allocate_many([question.request()])[0]
    names = [variant.name for variant in question.variants]
    state = state_of(decision, question.days_with_data)
    shares = _shares_by_date(question.experiment, date)
    days, observed = _daily_counts(question, date)
    return {
        "experiment_id": experiment_id,
        "date": date,
        "state": state,
        "sentence": sentence(state, decision, names),
        "leader": question.variants[decision.lead].key,
        "value_remaining": decision.value_remaining,
        "days_with_data": question.days_with_data,
        "variants": _variants(question, decision),
        "sample_ratio": _sample_ratio(question, shares, days, observed["impressions"]),
        "convergence": _convergence(shares, question.variants[decision.lead].pk),
        "rewards": _rewards(question, decision, days, observed),
    }


def _variants(question: Question, decision: engine.Allocation) -> list[dict[str, Any]]:
    control = next((i for i, v in enumerate(question.variants) if v.is_control), 0)
    compared = compare_to_control(decision.alpha, decision.beta, control)
    return [
        {
            "variant_key": variant.key,
            "variant_name": variant.name,
            "is_control": variant.is_control,
            "is_active": variant.is_active,
            "trials": int(decision.trials[i]),
            "successes": int(decision.successes[i]),
            "rate": float(decision.mean[i]),
            "rate_low": float(decision.interval_low[i]),
            "rate_high": float(decision.interval_high[i]),
            "probability_best": float(decision.probability_best[i]),
            "expected_loss": float(decision.expected_loss[i]),
            "uplift": None if i == control else float(compared.uplift[i]),
            "uplift_low": None if i == control else float(compared.uplift_low[i]),
            "uplift_high": None if i == control else float(compared.uplift_high[i]),
            "beats_control": None if i == control else float(compared.beats_control[i]),
        }
        for i, variant in enumerate(question.variants)
    ]


def _shares_by_date(experiment: Experiment, date: dt.date) -> SharesByDate:
    """The last revision of every target date, oldest first; one query."""
    rows = (
        AllocationShare.objects.filter(allocation__experiment=experiment, allocation__target_date__lte=date)
        .order_by("allocation__target_date", "allocation__revision")
        .values_list("allocation__target_date", "allocation_id", "variant_id", "share")
    )
    last: dict[dt.date, tuple[int, dict[int, float]]] = {}
    for target_date, allocation_id, variant_id, share in rows:
        if last.get(target_date, (0, {}))[0] != allocation_id:
            last[target_date] = (allocation_id, {})
        last[target_date][1][variant_id] = float(share)
    return {target_date: shares for target_date, (_, shares) in last.items()}


def _daily_counts(question: Question, date: dt.date) -> tuple[list[dt.date], dict[str, np.ndarray[Any, Any]]]:
    """Every day of the experiment's history and its counts, (D, K) each; one query."""
    place = {variant.pk: i for i, variant in enumerate(question.variants)}
    rows = list(
        DailyMetric.objects.filter(variant__experiment=question.experiment, date__lte=date)
        .order_by("date")
        .values_list("date", "variant_id", "impressions", "clicks", "conversions")
    )
    days = sorted({row[0] for row in rows})
    index = {day: n for n, day in enumerate(days)}
    observed = {name: np.zeros((len(days), len(place))) for name in ("impressions", "clicks", "conversions")}
    for day, variant_id, *counts in rows:
        if variant_id in place:  # a variant created after the question was read
            for name, value in zip(observed, counts, strict=True):
                observed[name][index[day], place[variant_id]] = value
    return days, observed


def _sample_ratio(
    question: Question, shares: SharesByDate, days: Sequence[dt.date], impressions: np.ndarray[Any, Any]
) -> dict[str, Any] | None:
    """None without two variants and days to compare."""
    in_force = _in_force(shares, days)
    known = [n for n, row in enumerate(in_force) if row]
    if not known:
        return None
    expected = np.array([[in_force[n].get(v.pk, 0.0) for v in question.variants] for n in known])
    found: SampleRatio | None = sample_ratio(impressions[known], expected)
    if found is None:
        return None
    keys = [variant.key for variant in question.variants]
    return {
        "mismatch": found.mismatch,
        "p_value": found.p_value,
        "chi_square": found.chi_square,
        "degrees_of_freedom": found.degrees_of_freedom,
        "observed": dict(zip(keys, found.observed.tolist(), strict=True)),
        "expected": dict(zip(keys, found.expected.tolist(), strict=True)),
    }


def _in_force(shares: SharesByDate, days: Sequence[dt.date]) -> list[Mapping[int, float]]:
    """For each day the shares of the latest target date up to it; empty before the first."""
    dates = sorted(shares)
    last = np.searchsorted(
        [date.toordinal() for date in dates], [day.toordinal() for day in days], side="right"
    )
    return [shares[dates[n - 1]] if n else {} for n in last]


def _convergence(shares: SharesByDate, leader_id: int) -> dict[str, Any]:
    dates = sorted(shares)
    series = np.array([shares[date].get(leader_id, 0.0) for date in dates])
    passed = first_passed(series)
    return {
        "leader_share": [{"date": date, "share": float(s)} for date, s in zip(dates, series, strict=True)],
        "first_passed_95_percent": None if passed is None else dates[passed],
    }


def _rewards(
    question: Question,
    decision: engine.Allocation,
    days: Sequence[dt.date],
    observed: Mapping[str, np.ndarray[Any, Any]],
) -> dict[str, Any]:
    """In expected successes, from the current posterior means."""
    trials = observed[Reward(question.experiment.reward).trials]
    rewards = rewards_by_day(trials, decision.mean, decision.lead)
    by_day = [
        {"date": day, "given_up": float(up), "gained_over_even": float(gained)}
        for day, up, gained in zip(days, rewards.given_up, rewards.gained, strict=True)
    ]
    last: dict[str, Any] = by_day[-1] if by_day else {"given_up": 0.0, "gained_over_even": 0.0}
    return {"given_up": last["given_up"], "gained_over_even": last["gained_over_even"], "by_day": by_day}
