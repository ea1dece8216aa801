"""Decisions: computed once for the same inputs, explained step by step."""

import datetime as dt
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from pytest_django import Settings

from allocation.engine import allocate_many
from allocation.exceptions import NoActiveVariantError
from allocation.ledger.inputs import AllocationInputs, digest
from allocation.ledger.loading import load_inputs
from allocation.models import Allocation, AllocationShare, Kind
from allocation.selectors import allocation_in_force, experiments_for_allocation
from allocation.services import compute_allocations, preview_allocation
from allocation.statistics.experiment import experiment_statistics
from allocation.sweep import SweptChunk, sweep_chunk
from allocation.sweep.chunk import batches
from allocation.sweep.marks import Active
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


def _sweep_all() -> SweptChunk:
    ids = list(Experiment.objects.order_by("pk").values_list("pk", flat=True))
    return sweep_chunk(experiment_ids=ids, target_date=TODAY, now=NOW)


def test_sweep_chunk__one_fails__the_others_go_on() -> None:
    make_running("Good")
    make_experiment("Without variants")
    make_running("Paused", status=Status.PAUSED)

    swept = _sweep_all()

    assert [one.error for one in swept.experiments] == ["", "no_active_variant"]
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


def test_sweep_chunk__a_fault_of_ours_in_one__the_others_are_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    good, bad, other = make_running("A"), make_running("B"), make_running("C")

    def fail_for_bad(experiments: Any, *args: Any) -> Any:
        if bad.pk in {experiment.pk for experiment in experiments}:
            raise ZeroDivisionError("a fault")
        return load_inputs(experiments, *args)

    monkeypatch.setattr("allocation.services.load_inputs", fail_for_bad)

    found = {one.experiment_id: one for one in _sweep_all().experiments}

    assert "a fault" in found[bad.pk].words
    assert found[good.pk].error == found[other.pk].error == ""
    assert Allocation.objects.count() == 2


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


def test_sweep_chunk__many_variants__are_decided_in_small_transactions() -> None:
    def of(sizes: Sequence[int]) -> list[list[int]]:
        return list(
            batches(Active(pk, variants, False, 0, None, False) for pk, variants in enumerate(sizes, 1))
        )

    assert of([4, 4, 400, 100, 200, 100]) == [[1, 2], [3], [4, 5], [6]]
    assert [len(batch) for batch in of([1] * 401)] == [200, 200, 1]


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


def test_experiments_for_allocation__read_twice_for_a_date__are_as_they_are_at_each_time() -> None:
    experiment = make_running()

    first = list(experiments_for_allocation(TODAY))
    record(experiment, counts("control", 5000, 50, date=TODAY - DAY))
    second = list(experiments_for_allocation(TODAY))

    assert [one.data_summary.days_with_data for one in (*first, *second)] == [1, 2]
    assert first[0] is not second[0]
    assert experiments_for_allocation(TODAY - DAY).get().data_summary.days_with_data == 1
