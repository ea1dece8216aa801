import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import Settings

from allocation.engine import allocate_many
from allocation.exceptions import NoActiveVariantError, NoAllocationError
from allocation.ledger.inputs import AllocationInputs, digest
from allocation.ledger.loading import load_inputs
from allocation.models import Allocation, AllocationShare, Kind
from allocation.selectors import (
    allocation_history,
    allocation_in_force,
    current_allocations,
    history_dates,
)
from allocation.services import complete_experiment, compute_allocations, preview_allocation
from allocation.statistics.experiment import experiment_statistics
from allocation.sweep import _chunks, compute_all
from experiments.exceptions import InvalidError, StatusConflictError
from experiments.metrics import Reward
from experiments.models import Experiment, Status, Variant
from experiments.services import change_status
from tests.factory import NOW, TODAY, allocate, counts, make_experiment, make_running, record, shares_of

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)


def test_compute_allocation__readme_example__moves_by_the_cap_and_says_so() -> None:
    allocation = allocate(make_running())

    assert shares_of(allocation) == {"control": 0.3, "variant_b": 0.7}
    assert (allocation.kind, allocation.revision) == (Kind.OPTIMIZED, 1)
    assert "daily cap" in allocation.reason
    assert list(allocation.shares.order_by("variant_id").values_list("bound", flat=True)) == [
        "cap_down",
        "cap_up",
    ]


def test_compute_allocation__ledger_row__explains_every_step() -> None:
    allocation = allocate(make_running())

    b = allocation.shares.get(variant__name="variant_b")
    assert (b.trials, b.successes, b.previous_share) == (10000, 950, Decimal("0.5000"))
    # one success strong, at the experiment's own rate of 1,650 in 20,000
    failures = 1 / 0.0825 - 1
    assert (b.posterior_alpha, b.posterior_beta) == pytest.approx((951, 9050 + failures))
    assert b.rate == pytest.approx(951 / (10001 + failures))
    assert [b.rate_low, b.rate, b.rate_high] == sorted([b.rate_low, b.rate, b.rate_high])  # type: ignore[type-var]  # not null here
    assert b.probability_best == pytest.approx(1, abs=1e-9)
    assert b.target == pytest.approx(0.95 + 0.05 / 2)
    assert (allocation.window_start, allocation.window_end) == (TODAY, TODAY)
    assert (allocation.window_impressions, allocation.window_clicks) == (20000, 1650)
    assert allocation.inputs_digest == digest(allocation.recorded_inputs)


def test_compute_allocation__recorded_inputs__give_the_recorded_shares_again() -> None:
    experiment = make_running(window_days=3, maturity_days=1)
    for age in range(6):
        record(
            experiment,
            counts("control", 900, 40, date=TODAY - age * DAY),
            counts("c", 800, 60, date=TODAY - age * DAY),
        )
        allocate(experiment, TODAY - (5 - age) * DAY)

    for allocation in Allocation.objects.all():
        answer = allocate_many(
            [AllocationInputs.from_json(allocation.recorded_inputs, experiment.pk).to_request()]
        )[0]
        stored = [float(s) for s in allocation.shares.order_by("variant_id").values_list("share", flat=True)]
        assert [share for share in answer.shares if share > 0] == stored


def test_compute_allocation__same_inputs__write_nothing() -> None:
    experiment = make_running()
    first = allocate(experiment)

    again = allocate(experiment)

    assert again.pk == first.pk
    assert (Allocation.objects.count(), AllocationShare.objects.count()) == (1, 2)


def test_compute_allocation__new_data__is_a_new_revision_of_the_day() -> None:
    experiment = make_running()
    allocate(experiment)
    record(experiment, counts("control", 10000, 990))

    allocation = allocate(experiment)

    assert allocation.revision == 2
    assert allocation_in_force(experiment, TODAY).pk == allocation.pk


def test_compute_allocation__all_day_long__shifts_never_add_up() -> None:
    experiment = make_running()
    for clicks in (950, 960, 970, 980):
        record(experiment, counts("variant_b", 10000, clicks))
        assert shares_of(allocate(experiment)) == {"control": 0.3, "variant_b": 0.7}


def test_compute_allocation__next_days__go_on_from_the_day_before_down_to_the_floor() -> None:
    experiment = make_running()

    controls = [shares_of(allocate(experiment, TODAY + n * DAY))["control"] for n in range(4)]

    assert controls == [0.3, 0.1, 0.1, 0.1]


def test_compute_allocation__gap_of_days__previous_is_the_last_one_however_old() -> None:
    experiment = make_running()
    allocate(experiment)

    assert shares_of(allocate(experiment, TODAY + 40 * DAY))["control"] == 0.1


def test_compute_allocation__little_data__is_a_warm_up_with_an_even_split() -> None:
    experiment = make_experiment()
    record(experiment, counts("control", 300, 10), counts("b", 300, 90))

    allocation = allocate(experiment)

    assert shares_of(allocation) == {"control": 0.5, "b": 0.5}
    assert allocation.kind == Kind.WARM_UP
    assert "600 of 1,000" in allocation.reason


def test_compute_allocation__old_impressions__count_for_the_warm_up_beyond_the_window() -> None:
    experiment = make_experiment(window_days=14)
    long_ago = TODAY - 60 * DAY
    record(experiment, counts("control", 900, 10, date=long_ago), counts("b", 900, 10, date=long_ago))
    record(experiment, counts("control", 100, 5), counts("b", 100, 9))

    allocation = allocate(experiment)

    assert allocation.kind == Kind.OPTIMIZED
    assert allocation.recorded_inputs["earlier_impressions"] == 1800
    assert allocation.window_impressions == 200


def test_compute_allocation__data_after_the_target_date__is_not_seen() -> None:
    experiment = make_running()
    record(experiment, counts("control", 50000, 50000, date=TODAY + DAY))

    assert allocate(experiment).window_impressions == 20000


def test_compute_allocation__retired_variant__has_no_share_and_its_days_still_inform() -> None:
    experiment = make_running()
    record(experiment, counts("c", 10000, 800))
    allocate(experiment)
    Variant.objects.filter(name="c").update(is_active=False)

    allocation = allocate(experiment, TODAY + DAY)

    assert set(shares_of(allocation)) == {"control", "variant_b"}
    assert sum(shares_of(allocation).values()) == 1
    assert len(allocation.recorded_inputs["variants"]) == 3


@pytest.mark.parametrize(
    ("reward", "trials", "successes"),
    [(Reward.CTR, 1000, 100), (Reward.CONVERSION_RATE, 1000, 10), (Reward.CLICK_CONVERSION_RATE, 100, 10)],
)
def test_compute_allocation__reward__decides_trials_and_successes(
    reward: Reward, trials: int, successes: int
) -> None:
    experiment = make_experiment(reward=reward)
    record(experiment, counts("control", 1000, 100, 10), counts("b", 1000, 100, 10))

    share = allocate(experiment).shares.get(variant__name="control")

    assert (share.trials, share.successes) == (trials, successes)


def test_compute_allocation__own_settings__win_over_the_installations(settings: Settings) -> None:
    settings.ALGORITHM_DEFAULTS = {**settings.ALGORITHM_DEFAULTS, "max_daily_shift": 0.05}
    follower, own = make_running("A"), make_running("B", max_daily_shift=0.15)

    assert shares_of(allocate(follower))["control"] == 0.45
    assert shares_of(allocate(own))["control"] == 0.35


def test_compute_allocation__settings_that_clash__name_the_setting(settings: Settings) -> None:
    settings.ALGORITHM_DEFAULTS = {**settings.ALGORITHM_DEFAULTS, "min_explore_rate": 0.5}

    with pytest.raises(InvalidError, match="control_floor and min_explore_rate"):
        allocate(make_running(control_floor=0.5))


def test_compute_allocation__completed__gives_the_winner_everything() -> None:
    experiment = make_running()
    winner = experiment.variants.get(name="variant_b")
    change_status(experiment_id=experiment.pk, to=Status.COMPLETED, now=NOW, winner_id=winner.pk)

    allocation = allocate(experiment)

    assert allocation.kind == Kind.COMPLETED
    assert shares_of(allocation) == {"control": 0, "variant_b": 1}


def test_compute_allocation__completed_without_winner__gives_the_control_everything() -> None:
    experiment = make_running()
    change_status(experiment_id=experiment.pk, to=Status.COMPLETED, now=NOW)

    assert shares_of(allocate(experiment)) == {"control": 1, "variant_b": 0}


@pytest.mark.parametrize("status", [Status.DRAFT, Status.PAUSED])
def test_compute_allocation__not_running__is_a_conflict(status: Status) -> None:
    with pytest.raises(StatusConflictError):
        allocate(make_experiment(status=status))


def test_compute_allocation__no_variants__is_a_conflict() -> None:
    with pytest.raises(NoActiveVariantError):
        allocate(make_experiment())


def test_compute_allocations__many__same_as_one_by_one(
    django_assert_max_num_queries: Callable[[int], Any],
) -> None:
    experiments = [make_running(f"E{n}", window_days=n + 1) for n in range(8)]

    with django_assert_max_num_queries(12):
        outcomes = compute_allocations(experiment_ids=[e.pk for e in experiments], target_date=TODAY, now=NOW)

    assert [outcome.experiment_id for outcome in outcomes] == [e.pk for e in experiments]
    assert Allocation.objects.count() == 8
    for experiment in experiments:
        assert allocate(experiment).revision == 1


def test_compute_all__one_fails__the_others_go_on() -> None:
    make_running("Good")
    make_experiment("Without variants")
    make_running("Paused", status=Status.PAUSED)

    outcomes = list(compute_all(target_date=TODAY, now=NOW))

    assert [outcome.error is None for outcome in outcomes] == [True, False]
    assert Allocation.objects.count() == 1


def test_preview_allocation__other_settings__are_used_and_nothing_is_recorded() -> None:
    experiment = make_running()

    entry = preview_allocation(
        experiment_id=experiment.pk, target_date=TODAY, now=NOW, overrides={"max_daily_shift": 0.1}
    )

    assert [float(share.share) for share in entry.shares] == [0.4, 0.6]
    assert entry.allocation._state.adding
    assert not entry.is_new
    assert not Allocation.objects.exists()


def test_allocation_in_force__none_yet__is_not_found() -> None:
    with pytest.raises(NoAllocationError):
        allocation_in_force(make_experiment(), TODAY)


def test_allocation_in_force__later_ones_exist__is_the_last_up_to_the_date() -> None:
    experiment = make_running()
    first = allocate(experiment)
    allocate(experiment, TODAY + 5 * DAY)

    assert allocation_in_force(experiment, TODAY + 4 * DAY).pk == first.pk
    assert current_allocations([experiment], TODAY + 4 * DAY)[experiment.pk].pk == first.pk


def test_allocation_history__revisions__only_the_last_of_each_date_newest_first() -> None:
    experiment = make_running()
    for n in range(3):
        allocate(experiment, TODAY + n * DAY)
    record(experiment, counts("control", 10000, 990))
    allocate(experiment, TODAY + DAY)

    history = allocation_history(experiment, end=TODAY + 2 * DAY, dates=30)

    assert [(a.target_date, a.revision) for a in history] == [
        (TODAY + 2 * DAY, 1), (TODAY + DAY, 2), (TODAY, 1),
    ]  # fmt: skip
    assert [a.target_date for a in allocation_history(experiment, end=TODAY + DAY, dates=1)] == [TODAY + DAY]


def test_history_dates__revisions__only_the_last_of_each_date_newest_first() -> None:
    experiment = make_running()
    for n in range(3):
        allocate(experiment, TODAY + n * DAY)
    record(experiment, counts("control", 10000, 990))
    last = allocate(experiment, TODAY + DAY)

    history = history_dates(experiment.pk)

    assert [entry.target_date for entry in history] == [TODAY + 2 * DAY, TODAY + DAY, TODAY]
    assert history[1].shares == shares_of(last)
    assert history_dates(experiment.pk, start=TODAY + DAY, end=TODAY + DAY) == [history[1]]
    assert history_dates(experiment.pk, dates=1) == [history[0]]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    days=st.lists(
        st.lists(st.tuples(st.integers(0, 3000), st.floats(0, 1)), min_size=2, max_size=5),
        min_size=1,
        max_size=5,
    ),
    floor=st.floats(0, 0.5),
    explore=st.floats(0, 0.49),
    cap=st.integers(1, 10_000),
)
def test_stored_allocations__any_history__keep_every_promise(
    days: list[list[tuple[int, float]]], floor: float, explore: float, cap: int
) -> None:
    experiment = make_experiment(control_floor=floor, min_explore_rate=explore, max_daily_shift=cap / 10_000)
    for n, day in enumerate(days):
        date = TODAY - (len(days) - n) * DAY
        record(experiment, *(counts(f"v{i}", c, int(c * r), date=date) for i, (c, r) in enumerate(day)))
        allocation = allocate(experiment, date + DAY)

        shares = list(allocation.shares.select_related("variant"))
        assert sum(share.share for share in shares) == 1
        for share in shares:
            least = max(explore / len(shares), floor if share.variant.is_control else 0)
            assert float(share.share) >= least - 1e-12
            moved = abs(share.share - (share.previous_share or 0))
            assert (
                moved <= Decimal(cap) / 10_000
                or "widened" in allocation.reason
                or share.share <= Decimal(least) + Decimal("0.0001")
            )


def test_compute_allocation__new_variant_in_front_on_its_prior__says_that_it_cannot_be_judged() -> None:
    experiment = make_running()
    record(experiment, counts("newcomer", 10, 5))

    allocation = allocate(experiment)

    assert "newcomer has too little data to be judged" in allocation.reason
    assert allocation.reason.startswith("variant_b leads")
    assert allocation.shares.get(variant__name="newcomer").missing_trials == pytest.approx(
        1000 / 3 - 10, abs=3
    )
    assert shares_of(allocation)["newcomer"] <= 0.3334


def test_complete_experiment__computed_already_today__the_winner_has_all_traffic_at_once() -> None:
    experiment = make_running()
    allocate(experiment)
    control = experiment.variants.get(name="control")

    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW, winner_id=control.pk)

    in_force = allocation_in_force(experiment, TODAY)
    assert (in_force.revision, shares_of(in_force)) == (2, {"control": 1.0, "variant_b": 0.0})
    assert in_force.window_impressions == 20000


def test_complete_experiment__immature_days__the_row_shows_the_window_that_counted() -> None:
    experiment = make_running(window_days=3, maturity_days=2)
    for age in range(1, 9):
        record(experiment, counts("control", 100, 10, date=TODAY - age * DAY))

    row = complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW)

    assert row is not None
    assert (row.window_start, row.window_end, row.data_through) == (
        TODAY - 4 * DAY, TODAY - 2 * DAY, TODAY - 2 * DAY,
    )  # fmt: skip
    assert (row.window_impressions, row.window_clicks) == (300, 30)


def test_complete_experiment__retired_winner__is_refused_and_nothing_changes() -> None:
    experiment = make_running()
    Variant.objects.filter(name="variant_b").update(is_active=False)
    retired = experiment.variants.get(name="variant_b")

    with pytest.raises(InvalidError, match="winner: 'variant_b' is retired; bring it back first"):
        complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW, winner_id=retired.pk)

    experiment.refresh_from_db()
    assert (experiment.status, experiment.winner) == (Status.ACTIVE, None)
    assert not Allocation.objects.exists()


def test_complete_experiment__all_variants_retired__is_a_conflict_and_nothing_changes() -> None:
    experiment = make_running()
    experiment.variants.update(is_control=False, is_active=False)

    with pytest.raises(NoActiveVariantError, match="bring one back"):
        complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW)

    experiment.refresh_from_db()
    assert experiment.status == Status.ACTIVE


def test_complete_experiment__no_control_and_no_winner__the_first_active_variant_has_all_traffic() -> None:
    experiment = make_running()
    experiment.variants.update(is_control=False)
    experiment.variants.filter(name="control").update(is_active=False)

    row = complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW)

    assert row is not None
    assert shares_of(row) == {"control": 0, "variant_b": 1}


def test_complete_experiment__no_variant_yet__records_nothing() -> None:
    experiment = make_experiment()

    assert complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW) is None

    experiment.refresh_from_db()
    assert experiment.status == Status.COMPLETED


def test_compute_all__a_fault_of_ours_in_one__the_others_are_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    good, bad, other = make_running("A"), make_running("B"), make_running("C")

    def fail_for_bad(experiments: Any, *args: Any) -> Any:
        if bad.pk in {experiment.pk for experiment in experiments}:
            raise ZeroDivisionError("a fault")
        return load_inputs(experiments, *args)

    monkeypatch.setattr("allocation.services.load_inputs", fail_for_bad)

    outcomes = {outcome.experiment_id: outcome.error for outcome in compute_all(target_date=TODAY, now=NOW)}

    assert "a fault" in str(outcomes[bad.pk])
    assert outcomes[good.pk] is outcomes[other.pk] is None
    assert Allocation.objects.count() == 2


def _serving(experiment: Experiment, age: int, part: float = 1.0) -> None:
    """Report a day on which b, which is better by 0.03, got three times the control's traffic."""
    day = TODAY - dt.timedelta(days=age)
    whole = (1000, 50), (3000, 240)
    rows = [(int(part * trials), int(part * clicks)) for trials, clicks in whole]
    record(experiment, counts("control", *rows[0], date=day), counts("b", *rows[1], date=day))


def test_gains__day_decided_on_in_part__is_priced_whole_once_the_rest_arrives() -> None:
    late, whole = make_experiment("Late"), make_experiment("Whole")
    _serving(late, 1, part=0.5)
    allocate(late, TODAY - dt.timedelta(days=1))
    _serving(late, 1)
    _serving(whole, 1)

    # 1,000 more than even, 0.03 each
    assert allocate(late).gained_over_even == pytest.approx(30, abs=1)
    assert allocate(late).given_up == pytest.approx(allocate(whole).given_up, rel=0.02)


def test_gains__day_that_arrives_late__is_priced_when_it_does() -> None:
    experiment = make_experiment()
    for age in (5, 4, 2, 1):
        _serving(experiment, age)
        allocate(experiment, TODAY - dt.timedelta(days=age - 1))
    _serving(experiment, 3)

    allocation = allocate(experiment)

    assert allocation.gained_over_even == pytest.approx(5 * 30, abs=2)
    assert list(allocation.recorded_inputs["gains"]["open"].values()) == [[0, 0], [0, 0]]
    assert allocate(experiment, TODAY + dt.timedelta(days=1)).recorded_inputs["gains"]["open"] == {}


@pytest.mark.parametrize("decided", [True, False])
def test_gains__completing__prices_the_days_since_the_last_decision(decided: bool) -> None:
    experiment = make_experiment()
    for age in (4, 3, 2, 1):
        _serving(experiment, age)
        if decided and age == 3:
            allocate(experiment, TODAY - dt.timedelta(days=2))

    winner = experiment.variants.get(name="b").pk
    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW, winner_id=winner)
    again = allocate(experiment, TODAY + dt.timedelta(days=1))

    rewards = experiment_statistics(experiment.pk, TODAY).rewards
    assert rewards.gained_over_even == again.gained_over_even == pytest.approx(4 * 30, abs=2)
    assert rewards.gained_low < rewards.gained_over_even < rewards.gained_high


def test_gains__completed_before_anything_was_priced__are_computed_not_0() -> None:
    experiment = make_experiment()
    for age in (2, 1):
        _serving(experiment, age)
    complete_experiment(experiment_id=experiment.pk, target_date=TODAY, now=NOW)
    Allocation.objects.update(gained_over_even=0, given_up=0, gain_error=0)

    assert experiment_statistics(experiment.pk, TODAY).rewards.gained_over_even == pytest.approx(60, abs=1)
    Allocation.objects.update(engine_version="1", gained_over_even=None, given_up=None, gain_error=None)
    assert experiment_statistics(experiment.pk, TODAY).rewards.gained_over_even == pytest.approx(60, abs=1)


def test_window__no_day_mature_yet__is_empty() -> None:
    experiment = make_running(maturity_days=7)

    allocation = allocate(experiment)

    assert (allocation.window_start, allocation.window_end, allocation.data_through) == (None, None, None)
    assert experiment_statistics(experiment.pk, TODAY).as_of.data_through is None


@pytest.mark.parametrize(("maturity_days", "state"), [(0, "decided"), (7, "leader")])
def test_state__days_that_are_not_mature__do_not_count_toward_two_weeks(
    maturity_days: int, state: str
) -> None:
    experiment = make_experiment(maturity_days=maturity_days)
    for age in range(14, 0, -1):
        day = TODAY - dt.timedelta(days=age)
        record(experiment, counts("control", 2000, 100, date=day), counts("b", 2000, 200, date=day))

    assert allocate(experiment).state == experiment_statistics(experiment.pk, TODAY).state == state


def test_compute_all__many_variants__are_decided_in_small_transactions() -> None:
    sizes = [(1, 4), (2, 4), (3, 400), (4, 100), (5, 200), (6, 100)]

    assert list(_chunks(sizes)) == [[1, 2], [3], [4, 5], [6]]
    assert [len(chunk) for chunk in _chunks([(n, 1) for n in range(401)])] == [200, 200, 1]


def test_comparable__retired_variant_that_ran_alone__keeps_the_others_comparable() -> None:
    experiment = make_experiment()
    for age in range(1, 41):
        day = TODAY - dt.timedelta(days=age)
        rows = [counts("c", 1000, 30, date=day)]
        if age <= 35:
            rows = [counts("control", 2000, 100, date=day), counts("b", 2000, 160, date=day)]
        record(experiment, *rows)
    beside = experiment_statistics(experiment.pk, TODAY)
    assert not beside.comparable
    assert "not to be compared with them: c." in beside.sentence
    Variant.objects.filter(experiment=experiment, key="c").update(is_active=False)

    retired = experiment_statistics(experiment.pk, TODAY)

    assert retired.comparable
    assert allocate(experiment).state == "decided"
    assert "never" not in retired.sentence
