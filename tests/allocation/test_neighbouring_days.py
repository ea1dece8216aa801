"""The daily cap between the last revisions of neighbouring dates, whatever is decided again, and in which order."""

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from allocation.campaigns.undo import undo_completion
from allocation.exceptions import LaterDecisionError
from allocation.ledger.verification import verify_ledger
from allocation.models import CLOSING, Allocation, Kind
from allocation.selectors import allocation_in_force
from allocation.services import complete_experiment, compute_allocation, compute_allocations
from experiments.exceptions import DomainError
from experiments.models import Experiment, Status
from experiments.services import change_status
from experiments.variants import add_variant, change_variant
from tests.exploration import TIMES
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, record, shares_of
from tests.resilience.scale import scaled

pytestmark = pytest.mark.django_db

DAY, HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)
CAP = Decimal("0.2")
_CLICKS = st.sampled_from([0, 1500, 30_000])


def make_known(**fields: Any) -> Experiment:
    """Make an experiment in which the control did better, three days ago."""
    experiment = make_experiment(**fields)
    correct(experiment, better="control")
    return experiment


def correct(experiment: Experiment, better: str) -> None:
    """Say which variant did better three days ago."""
    good = {name: 900 if name == better else 500 for name in ("control", "b")}
    record(experiment, *(counts(name, 10_000, n, date=TODAY - 3 * DAY) for name, n in good.items()))


def ledger(experiment: Experiment) -> list[tuple[dt.date, int]]:
    rows = experiment.allocations.order_by("target_date", "revision")
    return list(rows.values_list("target_date", "revision"))


def in_force(experiment: Experiment, date: dt.date) -> dict[str, float]:
    return shares_of(allocation_in_force(experiment, date))


def differences() -> list[str]:
    return [problem for found in verify_ledger() for problem in found.differences]


def largest_move(experiment: Experiment) -> float:
    last = [shares_of(row) for row in experiment.allocations.last_revisions().order_by("target_date")]
    pairs = pairwise(last)
    return max(abs(after[name] - before[name]) for before, after in pairs for name in after)


def test_compute_allocation__earlier_date_than_a_decision_in_force__is_refused_and_says_what_to_do() -> None:
    experiment = make_known()
    for date in (TODAY - 2 * DAY, TODAY - DAY, TODAY):
        allocate(experiment, date)
    correct(experiment, better="b")
    before = ledger(experiment)

    with pytest.raises(LaterDecisionError, match="Update the allocation of today instead") as caught:
        allocate(experiment, TODAY - DAY)

    assert TODAY.isoformat() in str(caught.value)
    assert caught.value.members == {"later_date": TODAY.isoformat()}
    assert ledger(experiment) == before
    allocate(experiment, TODAY)
    assert largest_move(experiment) <= 0.2 + 1e-9
    assert differences() == []


def test_compute_allocation__earlier_date_and_nothing_has_changed__answers_what_was_recorded() -> None:
    experiment = make_known()
    yesterday = allocate(experiment, TODAY - DAY)
    allocate(experiment)

    assert allocate(experiment, TODAY - DAY).pk == yesterday.pk


def test_compute_allocation__day_that_was_left_out__is_refused_too() -> None:
    experiment = make_known()
    allocate(experiment, TODAY - 2 * DAY)
    allocate(experiment)

    with pytest.raises(LaterDecisionError):
        allocate(experiment, TODAY - DAY)


def test_compute_allocation__today_again_while_tomorrow_is_decided__tomorrow_follows() -> None:
    experiment = make_known()
    for date in (TODAY - DAY, TODAY, TODAY + DAY):
        allocate(experiment, date)
    correct(experiment, better="b")

    today = allocate(experiment)

    assert today.target_date == TODAY
    assert ledger(experiment)[-2:] == [(TODAY + DAY, 1), (TODAY + DAY, 2)]
    assert largest_move(experiment) <= 0.2 + 1e-9
    assert differences() == []


def test_compute_allocation__today_again_with_the_same_data__leaves_tomorrow_as_it_is() -> None:
    experiment = make_known()
    for date in (TODAY, TODAY + DAY, TODAY):
        allocate(experiment, date)

    assert ledger(experiment) == [(TODAY, 1), (TODAY + DAY, 1)]


def test_compute_allocations__one_of_many_has_a_later_decision__the_others_are_decided() -> None:
    ahead, level = make_known(name="Ahead"), make_known(name="Level")
    allocate(ahead)

    first, second = compute_allocations(experiment_ids=[ahead.pk, level.pk], target_date=TODAY - DAY, now=NOW)

    assert isinstance(first.error, LaterDecisionError)
    assert second.entry is not None
    assert second.entry.is_new


def test_complete__tomorrow_is_decided__the_winner_has_all_traffic_tomorrow_too() -> None:
    experiment = make_known()
    for date in (TODAY, TODAY + DAY):
        allocate(experiment, date)

    winner = experiment.variants.get(name="b").pk
    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW, winner_id=winner)

    assert allocation_in_force(experiment, TODAY + DAY).kind == Kind.COMPLETED
    assert in_force(experiment, TODAY + DAY) == {"control": 0.0, "b": 1.0}


@pytest.mark.parametrize("status", [Status.ACTIVE, Status.PAUSED])
def test_undo__tomorrow_was_decided__both_days_have_their_splits_again(status: Status) -> None:
    experiment = make_known()
    for date in (TODAY, TODAY + DAY):
        allocate(experiment, date)
    planned = in_force(experiment, TODAY + DAY)
    if status == Status.PAUSED:
        change_status(experiment_id=experiment.pk, to=status, now=NOW)
    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW)

    undo_completion(experiment_id=experiment.pk, now=NOW + HOUR)

    assert in_force(experiment, TODAY + DAY) == planned
    assert largest_move(experiment) <= 0.2 + 1e-9
    assert differences() == []


def moves_too_far(experiment: Experiment) -> list[str]:
    """Every date whose last revision does not keep to the last one of the date before."""
    rows = list(experiment.allocations.last_revisions().order_by("target_date"))
    return [problem for row in rows if (problem := _problem(row))]


def _problem(row: Allocation) -> str | None:
    """An end goes past the cap, and what runs again goes on from before its end."""
    earlier = Allocation.objects.filter(experiment=row.experiment_id, target_date__lt=row.target_date)
    counting = earlier if row.kind in CLOSING else earlier.exclude(kind__in=CLOSING)
    before = counting.order_by("-target_date", "-revision").first()
    known = {} if before is None else _by_variant(before)
    recorded = row.recorded_inputs["previous"] or {}
    rests = {int(pk): round(share, 4) for pk, share in recorded.items()} == known
    if not rests and _by_variant(row) != known:  # a split that was given back is the one before
        return f"{row} does not rest on {before}"
    if row.kind in CLOSING or "widened" in row.reason:
        return None
    far = [s for s in row.shares.all() if abs(s.share - (s.previous_share or 0)) > CAP]
    lifted = [s for s in far if s.share > (s.previous_share or 0) and s.bound.endswith("_floor")]
    return f"{row} moves by more than the cap" if len(far) > len(lifted) else None


def _by_variant(row: Allocation) -> Mapping[int, float]:
    return {share.variant_id: float(share.share) for share in row.shares.all()}


class Days(RuleBasedStateMachine):
    """People and schedules at work on one experiment, in any order."""

    @initialize()
    def begin(self) -> None:
        self.rollback = transaction.atomic()
        self.rollback.__enter__()
        self.experiment, self.now = make_known(), NOW

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.rollback.__exit__(None, None, None)

    @property
    def today(self) -> dt.date:
        return self.now.date()

    @rule(ahead=st.integers(-3, 1), corrected=st.integers(-4, 0), variant=st.integers(0, 5), clicks=_CLICKS)
    def decide_on_corrected_counts(self, ahead: int, corrected: int, variant: int, clicks: int) -> None:
        names = sorted(self.experiment.variants.values_list("name", flat=True))
        row = counts(names[variant % len(names)], 30_000, clicks, date=self.today + corrected * DAY)
        if Experiment.objects.get(pk=self.experiment.pk).status != Status.COMPLETED:
            record(self.experiment, row, today=self.today)
        self._try(compute_allocation, target_date=self.today + ahead * DAY)

    @rule(number=st.integers(1, 3))
    def add_variant(self, number: int) -> None:
        self._try(add_variant, name=f"new {number}")

    @rule(ahead=st.integers(0, 1))
    def decide(self, ahead: int) -> None:
        self._try(compute_allocation, target_date=self.today + ahead * DAY)

    @rule(variant=st.integers(0, 5), is_active=st.booleans())
    def change_variant(self, variant: int, is_active: bool) -> None:
        ids = sorted(self.experiment.variants.values_list("pk", flat=True))
        self._try(change_variant, variant_id=ids[variant % len(ids)], is_active=is_active)

    @rule(to=st.sampled_from([Status.PAUSED, Status.ACTIVE]))
    def change_status(self, to: Status) -> None:
        self._try(change_status, to=to)

    @rule()
    def complete(self) -> None:
        self._try(complete_experiment, target_date=self.today)

    @rule()
    def undo(self) -> None:
        self._try(undo_completion)

    @rule()
    def next_day(self) -> None:
        self.now += DAY

    @invariant()
    def every_date_keeps_to_the_one_before(self) -> None:
        assert moves_too_far(self.experiment) == []

    @invariant()
    def an_experiment_that_is_over_is_over_on_every_day_to_come(self) -> None:
        status = Experiment.objects.get(pk=self.experiment.pk).status
        decided = Allocation.objects.filter(experiment=self.experiment)
        if decided.exists() and status == Status.COMPLETED:
            newest = decided.in_force_on(self.today + DAY).values_list("kind", flat=True)[0]
            assert newest in CLOSING

    def _try(self, service: Any, **arguments: Any) -> None:
        """Refuse a decision as a whole, or take it."""
        try:
            with transaction.atomic():
                service(experiment_id=self.experiment.pk, now=self.now, **arguments)
        except DomainError:
            pass


@pytest.mark.hypothesis
def test_neighbouring_days__whatever_is_done_in_any_order__keep_the_cap() -> None:
    run_state_machine_as_test(
        Days,
        settings=settings(
            max_examples=scaled(10, 200) * TIMES,
            stateful_step_count=scaled(16, 25),
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
