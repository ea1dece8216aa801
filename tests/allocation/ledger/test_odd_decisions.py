"""Decisions of counts and settings at the ends of what is allowed follow from their inputs like all others."""

import datetime as dt
import random

import pytest

from allocation.ledger.verification import verify_ledger
from allocation.models import Allocation
from allocation.services import compute_allocations
from experiments.models import Experiment
from tests.factory import NOW, TODAY, counts, make_experiment, record

pytestmark = pytest.mark.django_db

_HOW_MANY = 14
_RATES = (0.0, 1e-6, 0.05, 0.5, 0.999999, 1.0)
_PRIORS: tuple[dict[str, float], ...] = (
    {},
    {"alpha_prior": 0.001},
    {"alpha_prior": 0.001, "beta_prior": 0.001},
    {"beta_prior": 1e-6},
)


def _make_odd(number: int) -> Experiment:
    """Rates near 0 and 1, next to no prior, or one variant with a million times another's traffic."""
    draw = random.Random(number)
    # each kind of size in turn, so that few experiments have them all
    variants = (2, 3, 5, 7, 12, 30, 100)[number % 7]
    odd = {"min_explore_rate": 0.01, **_PRIORS[number % 4], "exploitation": draw.choice((0.5, 1.0, 3.0))}
    experiment = make_experiment(f"Odd {number}", **odd)
    rates, sizes = draw.choice((_RATES, (0.999999, 1.0), (0.05,))), draw.choice(((1, 10**6), (1000,), (0, 7)))
    for age in range(draw.choice((1, 2, 6))):
        day = TODAY - dt.timedelta(days=age)
        rows = []
        for place in range(variants):
            impressions = draw.choice(sizes) * draw.randint(1, 1000)
            clicks = round(impressions * draw.choice(rates))
            rows.append(counts("control" if place == 0 else f"v{place}", impressions, clicks, date=day))
        record(experiment, *rows)
    return experiment


def test_verify_ledger__batch_of_odd_decisions__finds_no_difference() -> None:
    experiments = [_make_odd(number) for number in range(_HOW_MANY)]

    for age in (1, 0):
        outcomes = compute_allocations(
            experiment_ids=[experiment.pk for experiment in experiments],
            target_date=TODAY - dt.timedelta(days=age),
            now=NOW,
        )
        assert [outcome.error for outcome in outcomes if outcome.error] == []

    found = list(verify_ledger())
    assert len(found) == Allocation.objects.count() == 2 * _HOW_MANY
    assert [verified.differences for verified in found if verified.differences] == []
