"""What the data say about an experiment: rates, uplifts, state, mismatch, rewards. Reads only, records nothing."""

import datetime as dt
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from allocation import engine
from allocation.engine.analysis.regret import first_passed, rewards_by_day
from allocation.engine.analysis.sample_ratio import SampleRatio, sample_ratio
from allocation.engine.analysis.uplift import Comparison, compare_to_control
from allocation.engine.state import LEADER_PROBABILITY, state_of
from allocation.explanations import status_sentence
from allocation.inputs import Question
from allocation.models import AllocationShare, Kind
from allocation.services import load_question, question_about
from experiments.metrics import Reward
from experiments.models import DailyMetric, Experiment, Variant


class Decided(NamedTuple):
    """An allocation of the ledger, by variant id. ``chances``: probability_best, of optimized variants only.

    ``served_from``: the first day whose traffic it can have split.
    """

    target_date: dt.date
    served_from: dt.date
    shares: dict[int, float]
    chances: dict[int, float]


# The last revision of each target date.
Ledger = Mapping[dt.date, Decided]


def experiment_statistics(experiment_id: int, date: dt.date) -> dict[str, Any]:
    """As of ``date``, whatever the status. Raises ExperimentNotFoundError, NoActiveVariantError, InvalidError
    (settings that clash)."""
    return _statistics(load_question(experiment_id, date), date)


def statistics_of(experiment: Experiment, date: dt.date) -> dict[str, Any]:
    """The same for an experiment read from services.with_everything(date)."""
    return _statistics(question_about(experiment, date), date)


def sample_ratio_of(experiment: Experiment, date: dt.date) -> dict[str, Any] | None:
    """Whether traffic arrives as it was split, and on how many ``days`` that rests; two queries.

    ``experiment`` has its variants prefetched.
    """
    variants, decisions = list(experiment.variants.all()), _decisions(experiment, date)
    days, observed = _daily_counts(experiment, variants, date)
    found = _sample_ratio(variants, decisions, days, observed["impressions"])
    return None if found is None else {**found, "days": len(days)}


def _statistics(question: Question, date: dt.date) -> dict[str, Any]:
    decision = engine.allocate_many([question.request()])[0]
    leader = question.variants[decision.lead]
    state = state_of(decision, question.days_with_data)
    decisions = _decisions(question.experiment, date)
    ledger = {decided.target_date: decided for decided in decisions}
    days, observed = _daily_counts(question.experiment, question.variants, date)
    return {
        "experiment_id": question.experiment.pk,
        "date": date,
        "state": state,
        "sentence": status_sentence(
            state=state,
            leader=leader.name,
            chance=float(decision.probability_best[decision.lead]),
            value_remaining=decision.value_remaining,
            active=sum(variant.is_active for variant in question.variants),
            reporting=decision.reporting,
        ),
        "leader": leader.key,
        "value_remaining": decision.value_remaining,
        "days_with_data": question.days_with_data,
        "variants": _variants(question, decision),
        "sample_ratio": _sample_ratio(question.variants, decisions, days, observed["impressions"]),
        "convergence": _convergence(ledger, leader.pk),
        "rewards": _rewards(question, decision, days, observed),
    }


def _variants(question: Question, decision: engine.Decision) -> list[dict[str, Any]]:
    compared = _compared(question, decision)
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
            **compared[i],
        }
        for i, variant in enumerate(question.variants)
    ]


def _compared(question: Question, decision: engine.Decision) -> list[dict[str, float | None]]:
    """Each variant beside the control; None throughout for the control itself, and where there is none."""
    nothing: dict[str, float | None] = dict.fromkeys(Comparison._fields)
    control = next((i for i, variant in enumerate(question.variants) if variant.is_control), None)
    if control is None:
        return [nothing for _ in question.variants]
    found = compare_to_control(decision.alpha, decision.beta, control)._asdict()
    return [
        nothing if i == control else {name: float(values[i]) for name, values in found.items()}
        for i in range(len(question.variants))
    ]


def _decisions(experiment: Experiment, date: dt.date) -> list[Decided]:
    """Every revision for every target date, in the order they were made for them; one query."""
    rows = AllocationShare.objects.filter(
        allocation__experiment=experiment, allocation__target_date__lte=date
    ).values_list(
        "allocation__target_date", "allocation__revision", "allocation__data_through", "allocation__kind",
        "variant_id", "share", "probability_best",
    )  # fmt: skip
    in_order = rows.order_by("allocation__target_date", "allocation__revision")
    return [
        _decided(target_date, data_through, kind, list(shares))
        for (target_date, _revision, data_through, kind), shares in groupby(in_order, lambda row: row[:4])
    ]


def _decided(target_date: dt.date, data_through: dt.date | None, kind: str, rows: list[Any]) -> Decided:
    """A decision for a day that rests on that day's own counts cannot have split them: it serves from the next on."""
    is_late = data_through is not None and data_through >= target_date
    known = rows if kind == Kind.OPTIMIZED else []
    return Decided(
        target_date,
        target_date + dt.timedelta(days=1) if is_late else target_date,
        {variant_id: float(share) for *_, variant_id, share, _chance in rows},
        {variant_id: chance for *_, variant_id, _share, chance in known if chance is not None},
    )


def _daily_counts(
    experiment: Experiment, variants: Sequence[Variant], date: dt.date
) -> tuple[list[dt.date], dict[str, np.ndarray[Any, Any]]]:
    """Every day of the experiment's history and its counts, (D, K) each; one query."""
    place = {variant.pk: i for i, variant in enumerate(variants)}
    rows = list(
        DailyMetric.objects.filter(variant__experiment=experiment, date__lte=date)
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
    variants: Sequence[Variant],
    decisions: Sequence[Decided],
    days: Sequence[dt.date],
    impressions: np.ndarray[Any, Any],
) -> dict[str, Any] | None:
    """None without two variants and days to compare."""
    in_force = _in_force(decisions, days)
    known = [n for n, row in enumerate(in_force) if row]
    if not known:
        return None
    expected = np.array([[in_force[n].get(v.pk, 0.0) for v in variants] for n in known])
    found: SampleRatio | None = sample_ratio(impressions[known], expected)
    if found is None:
        return None
    keys = [variant.key for variant in variants]
    return {
        "mismatch": found.mismatch,
        "p_value": found.p_value,
        "chi_square": found.chi_square,
        "degrees_of_freedom": found.degrees_of_freedom,
        "observed": dict(zip(keys, found.observed.tolist(), strict=True)),
        "expected": dict(zip(keys, found.expected.tolist(), strict=True)),
    }


def _in_force(decisions: Sequence[Decided], days: Sequence[dt.date]) -> list[Mapping[int, float]]:
    """For each day the shares of the latest split served by then; empty before the first."""
    served = {decided.served_from: decided.shares for decided in decisions}
    since = sorted(served)
    last = np.searchsorted(
        [date.toordinal() for date in since], [day.toordinal() for day in days], side="right"
    )
    return [served[since[n - 1]] if n else {} for n in last]


def _convergence(ledger: Ledger, leader_id: int) -> dict[str, Any]:
    """Its share stays below 95% wherever the others' floors take more: how sure we are shows in its chances."""
    compared = [date for date in sorted(ledger) if len(ledger[date].chances) > 1]
    chances = [ledger[date].chances.get(leader_id, 0.0) for date in compared]
    passed = first_passed(np.array(chances), LEADER_PROBABILITY)
    return {
        "leader_share": [
            {"date": date, "share": ledger[date].shares.get(leader_id, 0.0)} for date in sorted(ledger)
        ],
        "leader_probability_best": [
            {"date": date, "probability_best": chance} for date, chance in zip(compared, chances, strict=True)
        ],
        "first_passed_95_percent": None if passed is None else compared[passed],
    }


def _rewards(
    question: Question,
    decision: engine.Decision,
    days: Sequence[dt.date],
    observed: Mapping[str, np.ndarray[Any, Any]],
) -> dict[str, Any]:
    """In expected successes, from the current posterior means."""
    trials = observed[Reward(question.experiment.reward).trials_count.name]
    rewards = rewards_by_day(trials, decision.mean, decision.lead)
    by_day = [
        {"date": day, "given_up": float(up), "gained_over_even": float(gained)}
        for day, up, gained in zip(days, rewards.given_up, rewards.gained, strict=True)
    ]
    last: dict[str, Any] = by_day[-1] if by_day else {"given_up": 0.0, "gained_over_even": 0.0}
    return {"given_up": last["given_up"], "gained_over_even": last["gained_over_even"], "by_day": by_day}
