"""Sums of closed days give what whole histories do, whatever happens to the data and the decisions."""

import datetime as dt
from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from allocation.campaigns.undo import undo_completion
from allocation.ledger.entries import prune_superseded
from allocation.ledger.statements import variant_keys
from allocation.models import ClosedTraffic
from allocation.sample_ratio import SampleRatioResult, sample_ratios_of
from allocation.services import complete_experiment, compute_allocations
from allocation.traffic.closed_days import compared_traffic
from experiments.models import Experiment
from tests.factory import NOW, TODAY, counts, make_experiment, record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]
DAY = dt.timedelta(days=1)


def _decide(experiment: Experiment, date: dt.date) -> None:
    compute_allocations(experiment_ids=[experiment.pk], target_date=date, now=NOW, announce=False)


def _day(experiment: Experiment, date: dt.date, control: int = 1000, b: int = 1000) -> None:
    record(experiment, counts("control", control, 50, date=date), counts("b", b, 50, date=date))


def _compare(experiment: Experiment, date: dt.date) -> SampleRatioResult | None:
    """The test from closed days, which must be what whole histories give."""
    variants = variant_keys([experiment.pk])
    found = compared_traffic(variants, date)[experiment.pk]
    whole = sample_ratios_of(variants, date)[experiment.pk]
    assert (found is None) == (whole is None)
    if found is not None and whole is not None:
        assert found.observed == whole.observed
        assert found.expected == pytest.approx(whole.expected)
        assert found.chi_square == pytest.approx(whole.chi_square, rel=1e-6, abs=1e-9)
        assert (found.days, found.compared_days) == (whole.days, whole.compared_days)
        assert (found.mismatch, found.degrees_of_freedom) == (whole.mismatch, whole.degrees_of_freedom)
    return found


def _lived(days: int = 20) -> Experiment:
    """Twenty days of data and decisions, swept each day."""
    experiment = make_experiment(min_impressions=10**6)
    for age in range(days, 0, -1):
        date = TODAY - age * DAY
        _day(experiment, date, b=900 + age)
        _decide(experiment, date)
        _compare(experiment, date)
    return experiment


def test_closed_days__day_by_day__are_read_once() -> None:
    experiment = _lived()
    kept = ClosedTraffic.objects.get()
    assert (kept.through, kept.days) == (TODAY - 8 * DAY, 13)
    Experiment.objects.filter(pk=experiment.pk).update(changed_from=None)

    with CaptureQueriesContext(connection) as captured:
        found = compared_traffic(variant_keys([experiment.pk]), TODAY)[experiment.pk]

    assert found is not None
    assert (found.days, found.observed["control"]) == (20, 19000 + 0)
    days = [query["sql"] for query in captured if "dailymetric" in query["sql"]]
    assert len(days) == 1
    assert f".date > '{TODAY - 8 * DAY}'" in days[0]


def test_closed_days__decisions_that_rest_on_their_own_days__split_the_day_after() -> None:
    experiment = make_experiment(min_impressions=0)
    for age in range(20, 0, -1):
        date = TODAY - age * DAY
        record(
            experiment,
            counts("control", 1000, 50, date=date),
            counts("b", 1000, 50 + 5 * (age % 3), date=date),
        )
        _decide(experiment, date)
        _compare(experiment, date)


def _correct_closed(experiment: Experiment) -> None:
    _day(experiment, TODAY - 15 * DAY, control=5000)


def _move_within_closed(experiment: Experiment) -> None:
    _day(experiment, TODAY - 15 * DAY, control=900, b=915)
    _day(experiment, TODAY - 16 * DAY, control=1100, b=916)


def _late_day(experiment: Experiment) -> None:
    _day(experiment, TODAY - 25 * DAY)


def _new_variant(experiment: Experiment) -> None:
    record(experiment, counts("c", 500, 5, date=TODAY - DAY))
    _decide(experiment, TODAY)


def _ended_and_undone(experiment: Experiment) -> None:
    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW)
    undo_completion(experiment_id=experiment.pk, now=NOW)


def _correct_open(experiment: Experiment) -> None:
    _day(experiment, TODAY - 2 * DAY, control=5000)


def _late_decision(experiment: Experiment) -> None:
    experiment.allocations.filter(target_date__gt=TODAY - 12 * DAY).delete()
    _day(experiment, TODAY - 11 * DAY, b=100_000)
    Experiment.objects.filter(pk=experiment.pk).update(changed_from=None, min_impressions=0)
    _decide(experiment, TODAY - 10 * DAY)


@pytest.mark.parametrize(
    "change",
    [
        _correct_closed, _move_within_closed, _late_day, _new_variant, _ended_and_undone, _correct_open,
    ],
)  # fmt: skip
def test_closed_days__change__is_seen(change: Callable[[Experiment], None]) -> None:
    experiment = _lived()

    change(experiment)

    for day in range(12):
        _compare(experiment, TODAY + day * DAY)


def test_closed_days__decision_for_a_closed_day__is_seen() -> None:
    experiment = _lived()

    _late_decision(experiment)

    kept = ClosedTraffic.objects.get()
    assert kept.decision != 0
    ids = variant_keys([experiment.pk])
    before = sample_ratios_of(ids, TODAY)[experiment.pk]
    assert before is not None
    found = compared_traffic(ids, TODAY)[experiment.pk]
    assert found is not None
    assert found.expected == pytest.approx(before.expected)


def test_closed_days__correction_while_an_undone_end_is_open__is_seen_once_that_end_is_pruned() -> None:
    experiment = _lived()
    _ended_and_undone(experiment)
    _correct_closed(experiment)
    _compare(experiment, TODAY)

    assert prune_superseded(before=NOW + DAY) == 1

    _compare(experiment, TODAY)


def test_closed_days__of_a_past_date__are_not_asked() -> None:
    experiment = _lived()

    _compare(experiment, TODAY - 12 * DAY)
    _compare(experiment, TODAY)


@pytest.mark.usefixtures("today")
class AnyOrder(TestCase):
    @settings(max_examples=15, deadline=None)
    @given(
        steps=st.lists(
            st.tuples(
                st.sampled_from(["data", "decide", "look", "end"]), st.integers(0, 12), st.integers(50, 2000)
            ),
            max_size=14,
        )
    )
    def test_closed_days__any_order_of_data_decisions_and_looks__give_what_whole_histories_do(
        self, steps: list[tuple[str, int, int]]
    ) -> None:
        experiment = make_experiment(min_impressions=10**6)
        for place, (step, age, count) in enumerate(steps):
            today = TODAY + place * DAY
            if step == "data":
                _day(experiment, today - age * DAY if today - age * DAY <= TODAY else TODAY, 1000, count)
            elif step == "decide":
                _decide(experiment, today)
            elif step == "end" and experiment.allocations.exists():
                complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW)
                undo_completion(experiment_id=experiment.pk, now=NOW)
            _compare(experiment, today)
